"""Runs llama.cpp's HTTP server out of the xllamacpp wheel, with llama-server's own flags.

    python -I launcher.py --model FILE --host 127.0.0.1 --port 8080 --ctx-size 4096 ...

Known flags are in llama_flags.py; any other is refused by name. The API key comes from LLAMA_API_KEY
only (several are separated by commas), as everyone can read the command line of a process.
LLAMA_ARG_* is not read.

Exit codes: 0 after SIGTERM or SIGINT once serving; 1 when the server cannot start (the reason is in
the last lines of its log); 2 for wrong flags. While the model loads, SIGTERM ends the process by its
default action, at once.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from typing import Any, NoReturn

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))  # -I leaves the script's own folder out

import llama_flags  # noqa: E402

NAME = "xllamacpp"
EXIT_FAILED = 1
EXIT_USAGE = 2

# Why a flag of llama-server is refused, where "unknown" would leave the reader wondering.
REFUSED = {
    "--api-key": "is not taken from the command line; set LLAMA_API_KEY",
    "--api-key-file": "is not supported; set LLAMA_API_KEY",
    "--rpc": "is not supported: this pack has no RPC backend",
    "--device": "is not supported: this pack runs on the CPU",
    "-dev": "is not supported: this pack runs on the CPU",
    "--tensor-split": "is not supported: this pack runs on the CPU",
    "-ts": "is not supported: this pack runs on the CPU",
    "--hf-repo": "is not supported: the model must be a file (--model)",
    "-hf": "is not supported: the model must be a file (--model)",
    "--model-url": "is not supported: the model must be a file (--model)",
    "-mu": "is not supported: the model must be a file (--model)",
}


class UsageError(Exception):
    """A flag that is not ours, or whose value does not fit. The text names the flag."""


def parse(arguments: list[str]) -> list[tuple[llama_flags.Flag, str, Any]]:
    """Splits a command line into (flag, name as given, checked value). Raises UsageError."""
    by_name = {name: flag for flag in llama_flags.FLAGS for name in flag.names}
    found: list[tuple[llama_flags.Flag, str, Any]] = []
    rest = iter(arguments)
    for name in rest:
        if name.startswith("--"):
            name = name.replace("_", "-")  # llama-server does the same
        flag = by_name.get(name)
        if flag is None:
            bare = name.split("=", 1)[0]  # never repeat what follows: it may be a secret
            if bare in REFUSED:
                raise UsageError(f"{bare} {REFUSED[bare]}")
            if bare in by_name:
                raise UsageError(f"{bare} takes its value as the next argument, without '='")
            raise UsageError(f"{bare} is not a flag that this engine pack supports")
        if flag.type == "switch":
            found.append((flag, name, None))
            continue
        text = next(rest, None)
        if text is None:
            raise UsageError(f"{name} needs a value")
        found.append((flag, name, _checked(flag, name, text)))
    if not any("--model" in flag.names for flag, _, _ in found):
        raise UsageError("--model is missing")
    return found


def _checked(flag: llama_flags.Flag, name: str, text: str) -> Any:
    if flag.type in ("int", "float"):
        kind, noun = (int, "a whole number") if flag.type == "int" else (float, "a number")
        try:
            value = kind(text)
        except ValueError:
            raise UsageError(f"{name} must be {noun} (got {text!r})") from None
        if value != value:
            raise UsageError(f"{name} must be {noun} (got {text!r})")
        if flag.low is not None and value < flag.low:
            raise UsageError(f"{name} must be at least {flag.low} (got {text})")
        if flag.high is not None and value > flag.high:
            raise UsageError(f"{name} must be at most {flag.high} (got {text})")
        return value
    if flag.type == "choice":
        value = text.lower()
        if value not in flag.values:
            raise UsageError(f"{name} must be one of {', '.join(flag.values)} (got {text!r})")
        return value
    if not text:
        raise UsageError(f"{name} must not be empty")
    return text


def check_files(found: list[tuple[llama_flags.Flag, str, Any]]) -> None:
    """Raises OSError, naming the flag, for a file that cannot be opened."""
    for flag, name, value in found:
        if flag.type == "file":
            try:
                with open(value, "rb"):
                    pass
            except OSError as error:
                raise OSError(f"{name}: cannot open {value}: {error.strerror}") from None


def build_params(found: list[tuple[llama_flags.Flag, str, Any]], x: Any) -> Any:
    """llama-server's defaults, then the flags in the order given, then the key."""
    params = x.CommonParams()
    params.port = 8080
    params.n_parallel = -1  # automatic: four slots that share the context
    for flag, name, value in found:
        try:
            flag.apply(params, value, x)
        except (ValueError, TypeError, RuntimeError, OverflowError) as error:
            raise UsageError(f"{name} {error}") from None
    if params.n_parallel == 0:
        raise UsageError("--parallel must be -1 (automatic) or at least 1 (got 0)")
    keys = [key for key in os.environ.get("LLAMA_API_KEY", "").split(",") if key]
    if keys:
        params.api_keys = keys
    return params


def say(text: str) -> None:
    print(f"{NAME}: {text}", file=sys.stderr, flush=True)


def stop(_signal: int, _frame: Any) -> NoReturn:
    """Ends at once, whatever is running: whoever wants requests to finish waits before it asks us to stop."""
    os._exit(0)


def serve(params: Any, x: Any) -> NoReturn:
    """Starts the server, which has threads of its own, and waits for the signal to stop."""
    # The constructor blocks until the model is loaded, and until then no signal handler of Python's
    # could run: the default action stays in force, so that nobody waits for a long load to end.
    server = x.Server(params)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    say(f"ready, listening on {server.listening_address}")
    while True:
        signal.pause()


def _remedy(error: Exception) -> str:
    # The one library of the wheel's that a bare Debian or Ubuntu lacks.
    return "; install it with: sudo apt install libgomp1" if "libgomp.so.1" in str(error) else ""


def main(arguments: list[str]) -> int:
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_DFL)
    try:
        found = parse(arguments)
        check_files(found)
        import xllamacpp as x  # late: wrong flags are answered without loading 100 MB

        params = build_params(found, x)
    except UsageError as error:
        say(f"error: {error}")
        return EXIT_USAGE
    except (OSError, ImportError) as error:
        say(f"error: {error}{_remedy(error)}")
        return EXIT_FAILED
    try:
        serve(params, x)
    except RuntimeError:  # its text is always the same
        time.sleep(0.2)  # llama.cpp writes its log from a thread of its own: let the reason come first
        say("error: the server did not start; the lines above say why")
        return EXIT_FAILED


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
