"""Reading a folder of Python files into documents: ours beside the script that a Daft user would write.

Files: the standard library and all installed packages, copied into one folder. Ours is the stage `read`, all of it: decoding by PEP 263,
checks of every file, content hashes, reasons for what is rejected. Daft's script globs,
downloads, decodes as UTF-8, counts characters, hashes and writes Parquet, with nothing checked. Each is alone in a process; processor
seconds of it and its children, and the clock. Daft runs in the interpreter of `--peers`; where it is not there, it is named as missing.

    python -m benchmarks.read --quick
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.frame import Outcome, tell, versions

OURS = """
import sys, time
from codetextbook.engine import local
from codetextbook.site import Site
from codetextbook.stages.contract import run_stage
from codetextbook.stages.read import Read, read
from codetextbook.store import Store
if __name__ == "__main__":
    start = time.monotonic()
    cfg = Read(sources=[{"kind": "folder", "path": sys.argv[1]}], max_files=10**9, max_files_per_source=10**9)
    made = run_stage(read, cfg, store=Store(sys.argv[2]), site=Site(workers=2))
    rows = made.rows("documents")
    for pool in local._pools.values():
        pool.shutdown()  # the processor time of workers counts when they have ended
"""
DAFT = """
import os, sys, time
os.environ["DO_NOT_TRACK"] = "true"
import daft
from daft import col
if __name__ == "__main__":
    start = time.monotonic()
    frame = daft.from_glob_path(sys.argv[1] + "/**/*.py")
    frame = frame.with_column("text", col("path").download(on_error="null").try_decode("utf-8"))
    frame = frame.where(col("text").not_null())
    frame = frame.with_column("id", col("text").hash()).with_column("characters", col("text").length())
    frame.write_parquet(sys.argv[2])
    rows = daft.read_parquet(sys.argv[2] + "/*.parquet").count_rows()
"""
TELL = """
    import json, resource
    told = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    print(json.dumps({"documents": rows, "seconds": round(time.monotonic() - start, 2),
                      "cpu_seconds": round(sum(one.ru_utime + one.ru_stime for one in told), 2),
                      "peak_megabytes": round(max(one.ru_maxrss for one in told) / 1024)}))
"""


def collect(folder: Path, most: int) -> int:
    """Copy the machine's Python files; their number."""
    paths = sysconfig.get_paths()
    count = 0
    for name in ("stdlib", "purelib"):
        root = Path(paths[name])
        for path in sorted(root.rglob("*.py")):
            if count == most:
                return count
            if name == "stdlib" and "site-packages" in path.parts:
                continue
            to = folder / name / path.relative_to(root)
            to.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, to)
            count += 1
    return count


def run(python: str, script: str, folder: Path, out: Path) -> dict[str, Any] | str:
    """A way's figures; its last line of error where it failed. What was written before is on the disk by then: it costs neither."""
    os.sync()
    done = subprocess.run(
        [python, "-c", script + TELL, str(folder), str(out)], capture_output=True, text=True, check=False
    )
    if done.returncode:
        return (done.stderr.strip().splitlines() or ["failed"])[-1][:200]
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def main() -> None:
    """Collect the files, read them both ways, print what each took."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="2,000 files, done within a minute")
    parser.add_argument("--json", action="store_true", help="print one line of JSON last")
    parser.add_argument("--peers", default=sys.executable, help="the Python of an environment that has Daft")
    options = parser.parse_args()
    table = [("way", "documents", "seconds", "CPU seconds", "peak MB", "our CPU is", "our clock is")]
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "files"
        files = collect(folder, 2_000 if options.quick else 10**9)
        ways = {"ours": run(sys.executable, OURS, folder, Path(temporary) / "ours")}
        ways["daft"] = run(options.peers, DAFT, folder, Path(temporary) / "daft")
    outcome = Outcome("read", {"files": files}, versions=versions("pyarrow"))
    for name, found in ways.items():
        if isinstance(found, str):
            outcome.peers[name] = {"missing": True}
            table.append((name, "missing" if "No module" in found else found, "", "", "", "", ""))
            continue
        ratios = ("", "")
        if name == "ours":
            outcome.ours |= found
        else:
            outcome.peers[name] = found
            for unit in ("cpu_seconds", "seconds"):
                outcome.ratios[f"{name}, {unit}"] = round(found[unit] / outcome.ours[unit], 2)
            ratios = tuple(f"{outcome.ratios[f'{name}, {unit}']} times less" for unit in ("cpu_seconds", "seconds"))
        figures = (f"{found['seconds']:.1f}", f"{found['cpu_seconds']:.1f}", f"{found['peak_megabytes']:,}")
        table.append((name, f"{found['documents']:,}", *figures, *ratios))
    tell(outcome, table, as_json=options.json)


if __name__ == "__main__":
    main()
