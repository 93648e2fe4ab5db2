"""Ids of schemas without a registry: the same everywhere, kept for ever, never two meanings of one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from riverrun.records.avro import AvroRecord
from riverrun.records.ids import (
    FIRST_DERIVED_ID,
    Entry,
    ManifestIds,
    SchemaIdsError,
    UnknownSchemaIdError,
    derived_id,
    entry_from_json,
    entry_to_json,
)
from riverrun.records.vector_schema import ENVELOPE_FIELDS, VectorSchema, VectorSchemaError


def schema(name: str = "R", **more: object) -> AvroRecord:
    """Make a schema."""
    return {"type": "record", "name": name, "fields": [{"name": "a", "type": "int"}], **more}


FIXED = Entry("riverrun.Fixed", 1, schema("Fixed"))


def test_a_schema_is_kept_before_its_id_is_used() -> None:
    """The first use of a schema under a subject appends it, once; another subject appends it again, with one id."""
    kept: list[Entry] = []
    ids = ManifestIds([FIXED], [], kept.append)
    number = ids.id_of("a-value", schema())
    assert kept == [Entry("a-value", number, schema())]
    assert ids.id_of("a-value", schema()) == number == derived_id(schema())
    assert ids.id_of("b-value", schema()) == number
    assert [entry.subject for entry in kept] == ["a-value", "b-value"]
    assert ids.schema_of(number) == schema()
    assert ids.entries() == (FIXED, *kept)


def test_what_was_kept_is_known_at_the_next_start() -> None:
    """Entries of an earlier run, of schemas long replaced, stay readable and are not appended again."""
    kept: list[Entry] = []
    old = ManifestIds([FIXED], [], kept.append)
    number = old.id_of("a-value", schema())
    again: list[Entry] = []
    new = ManifestIds([FIXED], kept, again.append)
    assert new.schema_of(number) == schema()
    assert new.id_of("a-value", schema()) == number
    assert again == []
    assert new.id_of("a-value", schema(doc="Other words.")) == number


def test_an_id_is_not_used_when_it_cannot_be_kept() -> None:
    """If appending fails, the schema stays unknown and is appended when it is asked for again."""
    answers = [OSError("full"), None]
    kept: list[Entry] = []

    def append(entry: Entry) -> None:
        answer = answers.pop(0)
        if answer is not None:
            raise answer
        kept.append(entry)

    ids = ManifestIds([], [], append)
    with pytest.raises(OSError, match="full"):
        ids.id_of("a-value", schema())
    with pytest.raises(UnknownSchemaIdError):
        ids.schema_of(derived_id(schema()))
    assert ids.id_of("a-value", schema()) == kept[0].id


def test_one_id_for_two_schemas_is_a_contradiction() -> None:
    """Whether in the manifest, in what was kept, or learned later: the second meaning of an id is refused."""
    other = Entry("x", FIXED.id, schema("Other"))
    with pytest.raises(SchemaIdsError, match="Fixed and Other both have the id 1"):
        ManifestIds([FIXED, other], [], lambda entry: None)
    with pytest.raises(SchemaIdsError):
        ManifestIds([FIXED], [other], lambda entry: None)
    ids = ManifestIds([FIXED], [], lambda entry: None)
    with pytest.raises(SchemaIdsError):
        ids.learn(other)
    colliding = Entry("x", derived_id(schema()), schema("Other"))
    ids.learn(colliding)
    with pytest.raises(SchemaIdsError, match="use a schema registry"):
        ids.id_of("a-value", schema())


def test_riverruns_own_schemas_are_those_of_the_manifest() -> None:
    """A fixed schema has its fixed id under any subject; one that was edited without the manifest is refused."""
    ids = ManifestIds([FIXED], [], lambda entry: None)
    assert ids.id_of("anything", schema("Fixed", doc="Words.")) == FIXED.id
    with pytest.raises(SchemaIdsError, match=r"not in schemas/manifest\.json"):
        ids.id_of(FIXED.subject, schema("Fixed", fields=[]))


def test_unknown_ids_are_told() -> None:
    """An id that nobody gave raises, and says how to find those of a pipeline."""
    with pytest.raises(UnknownSchemaIdError, match=r"no schema has the id 7.*riverrun check"):
        ManifestIds([FIXED], [], lambda entry: None).schema_of(7)


@given(st.text(max_size=20), st.integers(1, 2**31 - 1), st.text(max_size=10))
def test_entries_survive_their_line(subject: str, number: int, doc: str) -> None:
    """An entry is one line of JSON and comes back equal."""
    entry = Entry(subject, number, schema(doc=doc))
    line = entry_to_json(entry)
    assert "\n" not in line
    assert entry_from_json(line) == entry_from_json(line.encode()) == entry


@pytest.mark.parametrize(
    "line", ["", "{", "[]", "{}", '{"subject": "a", "id": "1", "schema": {}}', '{"subject": "a", "id": 1, "schema": 1}']
)
def test_a_broken_line_is_told(line: str) -> None:
    """What is no entry is refused as such, not by a KeyError."""
    with pytest.raises(SchemaIdsError, match="manifest"):
        entry_from_json(line)


@given(st.dictionaries(st.text("abc", min_size=1), st.sampled_from(["int", "string", "double"]), max_size=4))
def test_derived_ids_leave_riverruns_own_free(fields: dict[str, str]) -> None:
    """Ids from content lie from 1000 to the greatest that four signed bytes hold, and follow content alone."""
    rows = [{"name": name, "type": kind} for name, kind in fields.items()]
    number = derived_id({"type": "record", "name": "R", "fields": rows})
    assert FIRST_DERIVED_ID <= number < 2**31
    assert number == derived_id({"fields": [row | {"doc": "Words."} for row in rows], "name": "R", "type": "record"})


def test_a_vector_has_a_nullable_field_for_each_feature() -> None:
    """The generated record has the envelope and the features in order, each optional, and a version of its own."""
    vector = VectorSchema.generate("flight-delay 2", {"hour": "long", "name": "string"})
    fields = vector.schema["fields"]
    assert isinstance(fields, list)
    assert vector.schema["name"] == "FlightDelay2Vector"
    assert [row["name"] for row in fields] == [*ENVELOPE_FIELDS, "hour", "name"]
    assert [row["type"] for row in fields[-2:]] == [["null", "long"], ["null", "string"]]
    assert (vector.names, vector.types) == (("hour", "name"), ("long", "string"))


def test_the_feature_set_version_tells_feature_sets_apart() -> None:
    """Other names, types or orders of features give other versions; the same features the same."""
    versions = [
        VectorSchema.generate("p", {"a": "long", "b": "double"}).version,
        VectorSchema.generate("p", {"b": "double", "a": "long"}).version,
        VectorSchema.generate("p", {"a": "double", "b": "double"}).version,
        VectorSchema.generate("p", {"a": "long"}).version,
        VectorSchema.generate("q", {"a": "long"}).version,
    ]
    assert len(set(versions)) == len(versions)
    assert VectorSchema.generate("p", {"a": "long", "b": "double"}).version == versions[0]
    assert all(len(version) == 16 for version in versions)


@pytest.mark.parametrize("name", ["", "1st", "naïve", "a-b", *ENVELOPE_FIELDS])
def test_a_feature_that_cannot_be_a_field_is_refused(name: str) -> None:
    """What is no Avro name, or one of the envelope's, is told by name."""
    with pytest.raises(VectorSchemaError, match=f"feature '{name}'"):
        VectorSchema.generate("p", {name: "long"})


@pytest.mark.parametrize("pipeline", ["flights", "2024-flights", "a", "9"])
def test_a_vector_record_has_a_valid_name(pipeline: str) -> None:
    """Whatever a pipeline is called, the record's name begins with a letter or underscore."""
    name = str(VectorSchema.generate(pipeline, {"a": "long"}).schema["name"])
    assert name.isidentifier()
    assert name.endswith("Vector")
