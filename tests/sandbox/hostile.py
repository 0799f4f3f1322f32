"""Programs that try to cheat, to escape or to break the machine; none may pass.

Each solves `double(n)`. One that needs something forbidden defines the right answer only if it got it: `passed` is then the proof of an escape.
`ESCAPES` run as the right answer if `attempt()` returns something true; `CHEATS` try for the verdict itself; `BREAKERS` try to exhaust or end
something, and each has the statuses that tell the truth about it.
"""

TESTS = "assert double(21) == 42\nassert double(-3) == -6\nassert [double(n) for n in range(9)] == [0, 2, 4, 6, 8, 10, 12, 14, 16]\n"

_IF_ESCAPED = """

try:
    _escaped = bool(attempt())
except BaseException:
    _escaped = False

def double(n):
    return 2 * n if _escaped else None
"""

_RAW = "import ctypes\nC = ctypes.CDLL(None, use_errno=True)\n"

_ESCAPES = {
    "read_the_password_file": "def attempt():\n    return open('/etc/passwd').read()\n",
    "read_through_a_link": "import os\ndef attempt():\n    os.symlink('/etc/passwd', 'here')\n    return open('here').read()\n",
    "read_through_a_hard_link": "import os\ndef attempt():\n    os.link('/etc/passwd', 'here')\n    return open('here').read()\n",
    "read_upwards": "def attempt():\n    return open('../' * 30 + 'etc/passwd').read()\n",
    "list_the_root": "import os\ndef attempt():\n    return os.listdir('/')\n",
    "environment_of_process_1": "def attempt():\n    return open('/proc/1/environ', 'rb').read()\n",
    "own_descriptors": "import os\ndef attempt():\n    return os.listdir('/proc/self/fd')\n",
    "memory_of_the_parent": "import os\ndef attempt():\n    return open(f'/proc/{os.getppid()}/mem', 'rb+')\n",
    "write_into_the_library": "import json\ndef attempt():\n    return open(json.__file__, 'a')\n",
    "write_a_shared_memory_file": "def attempt():\n    return open('/dev/shm/codetextbook-was-here', 'w').write('x')\n",
    "installed_packages": (
        "import os, glob\ndef attempt():\n    here = os.path.dirname(os.__file__)\n"
        "    return [open(p).read() for p in glob.glob(here + '/site-packages/*/__init__.py')[:1]]\n"
    ),
    "udp_socket": "import socket\ndef attempt():\n    return socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\n",
    "unix_socket": "import socket\ndef attempt():\n    return socket.socket(socket.AF_UNIX)\n",
    "netlink_socket": "import socket\ndef attempt():\n    return socket.socket(socket.AF_NETLINK, socket.SOCK_RAW)\n",
    "datagram_pair_to_the_log": (
        "import socket\ndef attempt():\n    a, b = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)\n"
        "    return a.sendto(b'<9>hello', '/dev/log')\n"
    ),
    "stream_socket": "import socket\ndef attempt():\n    return socket.socket(socket.AF_INET, socket.SOCK_STREAM)\n",
    "connection_to_this_machine": (
        "import socket\ndef attempt():\n    for port in (22, 80, 443, 8000, 8080):\n        try:\n"
        "            return socket.create_connection(('127.0.0.1', port), 1)\n        except ConnectionRefusedError:\n"
        "            return True  # the kernel let it knock\n"
    ),
    "write_wherever_one_may": (
        "import os, tempfile\ndef attempt():\n    here = os.getcwd()\n    for folder in ('/', '/tmp', '/var/tmp', '/dev/shm', '/run', '..', os.path.expanduser('~')):\n"
        "        if os.path.realpath(folder) != here:\n            try:\n                return open(os.path.join(folder, 'codetextbook-was-here'), 'w')\n"
        "            except OSError:\n                pass\n"
    ),
    "look_for_keys_at_home": (
        "import glob, os\ndef attempt():\n    homes = [os.path.expanduser('~'), '/root', *glob.glob('/home/*')]\n"
        "    return [name for home in homes for name in glob.glob(home + '/.*/*') + glob.glob(home + '/.*')]\n"
    ),
    "fork_from_the_c_library": _RAW + (
        "import os\ndef attempt():\n    pid = C.fork()\n    if pid == 0:\n        os._exit(0)\n    return pid > 0\n"
    ),
    "fork_until_refused": (
        "import os\ndef attempt():\n    while True:\n        if os.fork() == 0:\n            os.fork()\n            os._exit(0)\n        return True\n"
    ),
    "leave_a_daemon": (
        "import os, time\ndef attempt():\n    if os.fork() == 0:\n        os.setsid()\n        if os.fork() == 0:\n            time.sleep(300)\n"
        "        os._exit(0)\n    os.wait()\n    return True\n"
    ),
    "kill_the_parent": "import os\ndef attempt():\n    os.kill(os.getppid(), 9)\n    return True\n",
    "kill_the_parent_from_the_c_library": _RAW + "import os\ndef attempt():\n    return C.kill(os.getppid(), 15) == 0\n",
    "signal_by_owning_a_pipe": (
        "import fcntl, os\ndef attempt():\n    out, into = os.pipe()\n    fcntl.fcntl(out, fcntl.F_SETOWN, os.getppid())\n"
        "    fcntl.fcntl(out, 10, 9)\n    fcntl.fcntl(out, fcntl.F_SETFL, os.O_ASYNC | os.O_NONBLOCK)\n    os.write(into, b'x')\n    return True\n"
    ),
    "namespace_of_its_own_users": _RAW + "def attempt():\n    return C.unshare(0x10000000) == 0\n",
    "become_another_program": (
        "import os\ndef attempt():\n    for path in ('/bin/true', '/usr/bin/true', '/usr/bin/env'):\n        try:\n            os.execv(path, [path])\n"
        "        except PermissionError:\n            pass\n"
    ),
    "multiprocessing": (
        "import multiprocessing as m\ndef attempt():\n    p = m.get_context('fork').Process(target=print)\n"
        "    p.start()\n    p.join()\n    return True\n"
    ),
    "subprocess": "import subprocess\ndef attempt():\n    return subprocess.run(['/bin/echo', 'x'], check=True)\n",
    "spawn": "import os\ndef attempt():\n    return os.posix_spawn('/bin/true', ['true'], {})\n",
    "raw_vfork_like_clone": _RAW + (
        "import os, platform\ndef attempt():\n    number = {'x86_64': 56, 'aarch64': 220}[platform.machine()]\n"
        "    pid = C.syscall(number, 17, 0, 0, 0, 0)\n    if pid == 0:\n        os._exit(0)\n    return pid > 0\n"
    ),
    "signal_to_the_group": "import os\ndef attempt():\n    os.kill(0, 0)\n    return True\n",
    "signal_to_everyone": "import os\ndef attempt():\n    os.kill(-1, 0)\n    return True\n",
    "signal_to_neighbours": (
        "import os\ndef attempt():\n    for pid in range(os.getpid() + 1, os.getpid() + 6):\n        try:\n            os.kill(pid, 9)\n"
        "            return True\n        except PermissionError:\n            pass\n"
    ),
    "pidfd_of_the_parent": "import os\ndef attempt():\n    return os.pidfd_open(os.getppid())\n",
    "anonymous_executable": "import os\ndef attempt():\n    return os.memfd_create('x')\n",
    "raise_a_limit": (
        "import resource\ndef attempt():\n    soft, hard = resource.getrlimit(resource.RLIMIT_AS)\n"
        "    resource.setrlimit(resource.RLIMIT_AS, (-1, -1))\n    return True\n"
    ),
    "be_traceable": _RAW + "def attempt():\n    return C.prctl(4, 1, 0, 0, 0) == 0\n",
    "outlive_the_parent": _RAW + "def attempt():\n    return C.prctl(1, 0, 0, 0, 0) == 0\n",
    "be_root": "import os\ndef attempt():\n    os.setuid(0)\n    return os.geteuid() == 0\n",
    "change_the_root": "import os\ndef attempt():\n    os.chroot('.')\n    return True\n",
    "mount": _RAW + "def attempt():\n    return C.mount(b'none', b'.', b'tmpfs', 0, None) == 0\n",
    "huge_sparse_file": "import os\ndef attempt():\n    open('f', 'w').close()\n    os.truncate('f', 1 << 40)\n    return True\n",
    "device_node": "import os\ndef attempt():\n    os.mknod('tty', 0o20600, os.makedev(5, 0))\n    return True\n",
    "run_its_own_file": (
        "import os\ndef attempt():\n    open('x', 'w').write('#!/bin/true\\n')\n    os.chmod('x', 0o755)\n    os.execv('./x', ['x'])\n"
    ),
    "tests_in_the_heap": (
        "import gc\ndef attempt():\n    mark = 'assert ' + chr(100) + 'ouble('\n    seen, todo = set(), gc.get_objects()\n    while todo:\n"
        "        thing = todo.pop()\n        if id(thing) in seen:\n            continue\n        seen.add(id(thing))\n"
        "        if type(thing) is str and thing is not mark and mark in thing or type(thing) is bytes and mark.encode() in thing:\n            return True\n"
        "        if len(seen) < 400_000:\n            todo += gc.get_referents(thing)\n"
    ),
    "judges_modules_state": (
        "import sys\ndef attempt():\n    return any(hasattr(m, n) for m in list(sys.modules.values())"
        " for n in ('verdict_fd', 'tests_fd', 'tests_text'))\n"
    ),
}  # fmt: skip
ESCAPES = {name: code + _IF_ESCAPED for name, code in _ESCAPES.items()}

# System calls by number on x86-64; an error other than "not permitted" means that the kernel looked at the arguments.
FORBIDDEN_CALLS = {
    "fork": 57, "vfork": 58, "execve": 59, "ptrace": 101, "setuid": 105, "personality": 135, "pivot_root": 155, "chroot": 161, "mount": 165,
    "swapon": 167, "reboot": 169, "init_module": 175, "setxattr": 188, "tkill": 200, "io_setup": 206, "timer_create": 222, "mq_open": 240, "add_key": 248,
    "keyctl": 250, "inotify_init": 253, "unshare": 272, "perf_event_open": 298, "fanotify_init": 300, "name_to_handle_at": 303,
    "open_by_handle_at": 304, "setns": 308, "process_vm_readv": 310, "process_vm_writev": 311, "finit_module": 313, "seccomp": 317,
    "memfd_create": 319, "bpf": 321, "execveat": 322, "userfaultfd": 323, "pidfd_send_signal": 424, "io_uring_setup": 425, "open_tree": 428,
    "move_mount": 429, "fsopen": 430, "pidfd_open": 434, "openat2": 437, "pidfd_getfd": 438, "mount_setattr": 442, "memfd_secret": 447,
    "rt_sigqueueinfo": 129, "shmget": 29, "msgget": 68, "semget": 64, "socket": 41, "connect": 42, "x32_getpid": 0x40000000 + 39,
}  # fmt: skip
CALLS_PROGRAM = """
import ctypes
C = ctypes.CDLL(None, use_errno=True)
def outcome(number):
    ctypes.set_errno(0)
    result = C.syscall(ctypes.c_long(number), *[ctypes.c_long(0)] * 6)
    return ctypes.get_errno() if result < 0 else 0
"""

_LIAR = "class Liar({base}):\n    def _yes(self, *a):\n        return True\n    __eq__ = __ge__ = __le__ = __contains__ = _yes\n    __hash__ = None\n"

CHEATS = {
    "equal_number": _LIAR.format(base="int") + "def double(n):\n    return Liar(0)\n",
    "equal_float": _LIAR.format(base="float") + "def double(n):\n    return Liar('nan')\n",
    "equal_object": _LIAR.format(base="object") + "def double(n):\n    return Liar()\n",
    "false_class": (
        "class Liar:\n    __class__ = property(lambda self: int)\n    def __eq__(self, other):\n        return True\n"
        "def double(n):\n    return Liar()\n"
    ),
    "lying_metaclass": (
        "class Meta(type):\n    def __eq__(cls, other):\n        return True\n    def __hash__(cls):\n        return hash(int)\n"
        "class Liar(metaclass=Meta):\n    pass\ndef double(n):\n    return Liar\n"
    ),
    "patched_builtins": (
        "import builtins\nclass Quiet(Exception):\n    pass\nbuiltins.AssertionError = Quiet\nbuiltins.abs = builtins.all = lambda *a: True\n"
        "def double(n):\n    return 0\n"
    ),
    "patched_operator": "import operator\noperator.eq = lambda a, b: True\ndef double(n):\n    return 0\n",
    "leave_while_called": "import sys\ndef double(n):\n    sys.exit(0)\n",
    "leave_while_loaded": "raise SystemExit(0)\n",
    "status_zero_while_called": "import os\ndef double(n):\n    os._exit(0)\n",
    "status_zero_at_the_end": "import atexit, os\natexit.register(os._exit, 0)\ndef double(n):\n    return 0\n",
    "verdict_on_standard_output": (
        "import os, sys\ndef double(n):\n    for text in ('passed', 'PASS', 'OK', '1.0', 'All tests passed'):\n"
        "        print(text, flush=True)\n        os.write(1, text.encode() + b'\\n')\n        os.write(2, text.encode() + b'\\n')\n    os._exit(0)\n"
    ),
    "other_harnesses_verdicts_on_every_descriptor": (
        "import json, os, pickle, struct\nwords = [b'passed\\n', b'\\x00', b'\\x01', pickle.dumps(('passed', 1)), json.dumps({'passed': True}).encode()]\n"
        "words += [struct.pack('<I', len(word)) + word for word in words]\ndef double(n):\n    for fd in range(64):\n        for word in words:\n"
        "            try:\n                os.write(fd, word)\n            except OSError:\n                break\n    return 0\n"
    ),
    "expected_value_in_the_callers_frames": (
        "import sys\ndef double(n):\n    frame, seen = sys._getframe(1), []\n    while frame:\n        seen += [c for c in frame.f_code.co_consts if type(c) is int]\n"
        "        seen += [v for v in list(frame.f_locals.values()) if type(v) is int]\n        frame = frame.f_back\n"
        "    return next((value for value in seen if value == n + n), None) if 4 * n * n in [v * v for v in seen] else None\n"
    ),
    "everything_replaced_in_the_callers_frames": (
        "import sys\nclass Yes:\n    def __call__(self, *a, **k):\n        return self\n    def __eq__(self, other):\n        return True\n"
        "frame = sys._getframe()\nwhile frame:\n    for name in ('check', 'candidate', 'judge', 'verdict', 'double'):\n"
        "        if name in frame.f_globals:\n            frame.f_globals[name] = Yes()\n    frame = frame.f_back\ndef double(n):\n    return 0\n"
    ),
    "kill_itself_softly": "import os, signal\ndef double(n):\n    os.kill(os.getpid(), signal.SIGTERM)\n",
    "stop_iteration": "def double(n):\n    raise StopIteration(2 * n + 1)\n",
    "generator_exit": "def double(n):\n    raise GeneratorExit\n",
    "verdict_on_every_descriptor": (
        "import os, sys\ncodec = next(m for n, m in sys.modules.items() if n.endswith('codec') and hasattr(m, 'decode_texts'))\n"
        "word = codec.encode(('passed', ''))\nframe = len(word).to_bytes(4, 'little') + word\n"
        "for fd in range(3, 64):\n    try:\n        os.write(fd, frame)\n    except OSError:\n        pass\ndef double(n):\n    return 0\n"
    ),
    "answers_before_questions": (
        "import os, sys\ncodec = next(m for n, m in sys.modules.items() if n.endswith('codec') and hasattr(m, 'decode_texts'))\n"
        "def frame(v):\n    b = codec.encode(v)\n    return len(b).to_bytes(4, 'little') + b\n"
        "for fd in range(3, 64):\n    try:\n        os.write(fd, frame(('loaded', '')) + frame(('value', True)) * 50)\n"
        "    except OSError:\n        pass\n"
    ),
    "reference_to_the_judges_objects": (
        "import os, sys\ncodec = next(m for n, m in sys.modules.items() if n.endswith('codec') and hasattr(m, 'decode_texts'))\n"
        "def double(n):\n    raw = b't\\x02\\0\\0\\0s\\x05\\0\\0\\0valueR\\x00\\0\\0\\0\\x01\\x01'\n"
        "    for fd in range(3, 64):\n        try:\n            os.write(fd, len(raw).to_bytes(4, 'little') + raw)\n"
        "        except OSError:\n            pass\n"
    ),
    "ask_the_judge_for_its_globals": (
        "import sys\npeer = next(m for n, m in sys.modules.items() if n.endswith('peer') and hasattr(m, 'Peer'))\n"
        "import gc\nmine = [o for o in gc.get_objects() if type(o) is peer.Peer][0]\n"
        "def double(n):\n    return mine.request('attribute', 0, '__globals__')\n"
    ),
    "trace_the_caller": (
        "import sys\ndef hook(frame, event, arg):\n    frame.f_globals['assert'] = None\n    return hook\nsys.settrace(hook)\n"
        "frame = sys._getframe()\nwhile frame:\n    frame.f_trace = hook\n    frame = frame.f_back\ndef double(n):\n    return 0\n"
    ),
    "nothing_defined": "x = 1\n",
    "not_callable": "double = 42\n",
    "change_the_question": "def double(n):\n    n.__dict__['x'] = 1\n    return n\n",
}

BREAKERS = {
    "spin": ("def double(n):\n    while True:\n        pass\n", {"timed_out"}),
    "spin_while_loaded": ("while True:\n    pass\n", {"timed_out"}),
    "ignore_the_limits_signal": (
        "import signal\nsignal.signal(signal.SIGXCPU, signal.SIG_IGN)\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "def double(n):\n    while True:\n        pass\n",
        {"timed_out"},
    ),
    "spin_outside_the_interpreter": ("def double(n):\n    return 7 ** (10 ** 9)\n", {"timed_out", "out_of_memory"}),
    "backtracking": ("import re\ndef double(n):\n    re.match('(a+)+$', 'a' * 40 + 'b')\n", {"timed_out"}),
    "sleep": ("import time\ndef double(n):\n    time.sleep(3600)\n", {"timed_out"}),
    "deadlock": ("import threading\ndef double(n):\n    lock = threading.Lock()\n    lock.acquire()\n    lock.acquire()\n", {"timed_out"}),
    "stop_itself": ("import os, signal\ndef double(n):\n    os.kill(os.getpid(), signal.SIGSTOP)\n", {"timed_out"}),
    "memory": ("def double(n):\n    held = []\n    while True:\n        held.append(bytearray(1 << 24))\n", {"out_of_memory"}),
    "memory_while_loaded": ("held = [0] * (1 << 40)\n", {"out_of_memory"}),
    "threads": (
        "import threading, time\ndef double(n):\n    threading.stack_size(32768)\n    for _ in range(20000):\n"
        "        threading.Thread(target=time.sleep, args=(60,), daemon=True).start()\n    return 2 * n\n",
        {"failed", "out_of_memory"},
    ),
    "recursion": ("import sys\nsys.setrecursionlimit(1 << 30)\ndef double(n):\n    return double(n)\n", {"out_of_memory", "crashed", "timed_out"}),
    "null_pointer": ("import ctypes\ndef double(n):\n    ctypes.memset(0, 1, 1)\n", {"crashed"}),
    "abort": ("import os\ndef double(n):\n    os.abort()\n", {"crashed"}),
    "exit_at_once": ("import os\nos._exit(0)\n", {"crashed"}),
    "close_everything_and_wait": ("import os, time\nos.closerange(0, 64)\ntime.sleep(60)\n", {"crashed"}),
    "enormous_answer": ("def double(n):\n    return 'x' * (1 << 27)\n", {"failed"}),
    "enormous_length_prefix": ("import os\ndef double(n):\n    for fd in range(3, 64):\n        try:\n            os.write(fd, b'\\xff' * 64)\n"
                               "        except OSError:\n            pass\n", {"crashed"}),
    "answer_within_itself": ("def double(n):\n    a = []\n    a.append(a)\n    return a\n", {"failed"}),
    "colliding_keys": ("def double(n):\n    return {k * (2**61 - 1): 0 for k in range(60_000)}\n", {"timed_out"}),
    "endless_generator": ("def double(n):\n    while True:\n        yield n\n", {"failed", "timed_out"}),
    "fill_the_disk": (
        "def double(n):\n    for k in range(64):\n        with open(f'f{k}', 'wb') as f:\n            f.write(bytes(1 << 20))\n    return 2 * n\n",
        {"disk_quota"},
    ),
    "one_big_file": ("def double(n):\n    with open('f', 'wb') as f:\n        f.write(bytes(1 << 26))\n    return 2 * n\n", {"disk_quota"}),
    "many_files": ("def double(n):\n    for k in range(100_000):\n        open(f'f{k}', 'w').close()\n    return 2 * n\n", {"disk_quota"}),
    "many_files_in_a_folder_nobody_may_list": (
        "import os\ndef double(n):\n    os.mkdir('d')\n    os.chdir('d')\n    os.chmod('.', 0o300)\n    for k in range(100_000):\n"
        "        open(f'f{k}', 'w').close()\n    return 2 * n\n", {"disk_quota"},
    ),
    "files_below_the_longest_path": (
        "import os\ndef double(n):\n    for k in range(700):\n        os.mkdir('d' * 200)\n        os.chdir('d' * 200)\n    for k in range(100_000):\n"
        "        open(f'f{k}', 'w').close()\n    return 2 * n\n", {"disk_quota"},
    ),
    "print_for_ever": ("def double(n):\n    while True:\n        print('x' * 65536)\n", {"timed_out"}),
    "write_for_ever_to_both_outputs": (
        "import os\ndef double(n):\n    while True:\n        for fd in (1, 2):\n            try:\n                os.write(fd, bytes(65536))\n"
        "            except OSError:\n                pass\n", {"timed_out"},
    ),
    "nested_brackets": ("x = " + "(" * 100_000 + ")" * 100_000, {"unparsable", "crashed", "out_of_memory"}),
    "null_character": ("def double(n):\n    return 2 * n\n\0", {"unparsable"}),
    "lone_surrogate": ("def double(n):\n    return '\ud800'\n", {"unparsable"}),
    "not_python": ("Sure! Here is the function you asked for:", {"unparsable"}),
    "unprintable_error": (
        "class Mute(Exception):\n    def __str__(self):\n        raise self\ndef double(n):\n    raise Mute\n", {"failed"},
    ),
}  # fmt: skip
