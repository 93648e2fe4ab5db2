from datetime import timedelta
from typing import Any

def cli_main(flow: Any, *, epoch_interval: timedelta, recovery_config: Any) -> None: ...
