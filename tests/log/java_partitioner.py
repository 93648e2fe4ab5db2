"""Asks the Java client where it would put keys.

A program for it has to be compiled, and the Java runtime that riverrun brings along has no compiler. But a
program that only calls methods, one after the other, is a few bytes of class file for each call, so the test
writes those: ``System.out.println(BuiltInPartitioner.partitionForKey(HexFormat.of().parseHex(KEY),
PARTITIONS))`` for every key. The layout is that of chapter 4 of the Java Virtual Machine Specification.
"""

from __future__ import annotations

import struct
import subprocess
from collections.abc import Sequence
from pathlib import Path

_CLASS = "Placement"
_PARTITIONER = "org/apache/kafka/clients/producer/internals/BuiltInPartitioner"
_JAVA_17 = 61
_PUBLIC, _STATIC, _SUPER = 0x0001, 0x0008, 0x0020
_LDC_W, _SIPUSH, _GETSTATIC, _INVOKEVIRTUAL, _INVOKESTATIC, _RETURN = 0x13, 0x11, 0xB2, 0xB6, 0xB8, 0xB1
_UTF8, _CLASS_REF, _STRING, _FIELD, _METHOD, _NAME_AND_TYPE = 1, 7, 8, 9, 10, 12


class _Constants:
    """A class file's constant pool: each constant once, by number from one."""

    def __init__(self) -> None:
        self._numbers: dict[bytes, int] = {}

    def _add(self, encoded: bytes) -> int:
        return self._numbers.setdefault(encoded, len(self._numbers) + 1)

    def utf8(self, text: str) -> int:
        data = text.encode()
        return self._add(struct.pack(">BH", _UTF8, len(data)) + data)

    def string(self, text: str) -> int:
        return self._add(struct.pack(">BH", _STRING, self.utf8(text)))

    def class_(self, name: str) -> int:
        return self._add(struct.pack(">BH", _CLASS_REF, self.utf8(name)))

    def member(self, kind: int, owner: str, name: str, descriptor: str) -> int:
        named = self._add(struct.pack(">BHH", _NAME_AND_TYPE, self.utf8(name), self.utf8(descriptor)))
        return self._add(struct.pack(">BHH", kind, self.class_(owner), named))

    def encoded(self) -> bytes:
        return struct.pack(">H", len(self._numbers) + 1) + b"".join(self._numbers)


def _class_file(keys: Sequence[bytes], partitions: int) -> bytes:
    constants = _Constants()
    out = constants.member(_FIELD, "java/lang/System", "out", "Ljava/io/PrintStream;")
    hex_format = constants.member(_METHOD, "java/util/HexFormat", "of", "()Ljava/util/HexFormat;")
    parse = constants.member(_METHOD, "java/util/HexFormat", "parseHex", "(Ljava/lang/CharSequence;)[B")
    place = constants.member(_METHOD, _PARTITIONER, "partitionForKey", "([BI)I")
    show = constants.member(_METHOD, "java/io/PrintStream", "println", "(I)V")
    code = bytearray()
    for key in keys:
        for operation, operand in (
            (_GETSTATIC, out),
            (_INVOKESTATIC, hex_format),
            (_LDC_W, constants.string(key.hex())),
            (_INVOKEVIRTUAL, parse),
            (_SIPUSH, partitions),
            (_INVOKESTATIC, place),
            (_INVOKEVIRTUAL, show),
        ):
            code += struct.pack(">BH", operation, operand)
    code.append(_RETURN)
    body = struct.pack(">HHI", 3, 1, len(code)) + code + struct.pack(">HH", 0, 0)
    attribute = struct.pack(">HI", constants.utf8("Code"), len(body)) + body
    main = constants.utf8("main"), constants.utf8("([Ljava/lang/String;)V")
    method = struct.pack(">HHHH", _PUBLIC | _STATIC, *main, 1) + attribute
    this, parent = constants.class_(_CLASS), constants.class_("java/lang/Object")
    return b"".join(
        (
            struct.pack(">IHH", 0xCAFEBABE, 0, _JAVA_17),
            constants.encoded(),
            struct.pack(">HHHHH", _PUBLIC | _SUPER, this, parent, 0, 0),
            struct.pack(">H", 1) + method,
            struct.pack(">H", 0),
        )
    )


def java_partitions(keys: Sequence[bytes], partitions: int, java: Path, jars: Path, folder: Path) -> list[int]:
    """Return the partition that the Java client's default partitioner gives each key.

    Parameters
    ----------
    keys
        At most some thousand: a method has at most 64 KiB of code.
    partitions
        Of the topic.
    java, jars
        The Java runtime, 17 or newer, and the folder with Kafka's jar files.
    folder
        Where the program may be written.
    """
    (folder / f"{_CLASS}.class").write_bytes(_class_file(keys, partitions))
    answer = subprocess.run(
        [java, "-XX:TieredStopAtLevel=1", "-cp", f"{folder}:{jars}/*", _CLASS],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return [int(line) for line in answer.stdout.split()]
