"""The parts of scripts/test-deploy that are more than a command: each is a function named on the command line."""

import json
import pathlib
import re
import shlex
import subprocess
import sys
import time
import urllib.parse
import urllib.request

DEPLOY = pathlib.Path("deploy")
DASHBOARD = DEPLOY / "grafana/dashboards/assay.json"
OPERATORS = pathlib.Path("docs/operators.md")
METRIC = re.compile(r"\b(?:assay|substrate|node)_[A-Za-z0-9_]+")
# How long a first job may take until all of its traces are in Prometheus, in seconds.
PATIENCE = 150


def fail(*lines):
    sys.exit("test-deploy: " + "\n  ".join(lines))


def alerts():
    """Every alert has a test and a section of its own in the operators' page, and the page has no section of another."""
    rules = "".join(path.read_text() for path in sorted((DEPLOY / "prometheus/rules").glob("*.yml")))
    names = re.findall(r"- alert: (\w+)", rules)
    tested = set()
    for path in (DEPLOY / "prometheus/tests").glob("*.yml"):
        tested |= set(re.findall(r"alertname: (\w+)", path.read_text()))
    page = OPERATORS.read_text()
    sections = re.findall(r"^### ([A-Z]\w+[A-Z]\w+)$", page, re.M)
    books = re.findall(r"runbook: \S+/docs/operators\.md#(\w+)", rules)
    for what, found in [("tests", tested), ("sections of docs/operators.md", set(sections))]:
        if found != set(names):
            fail(f"alerts and {what} differ: {sorted(set(names) ^ found)}")
    if books != [name.lower() for name in names]:
        fail("a runbook is not the section of its alert")


def expressions():
    """What the dashboard asks of Prometheus, with its variables filled in."""
    dashboard = json.loads(DASHBOARD.read_text())
    for panel in dashboard["panels"]:
        for target in panel.get("targets", []):
            expression = target["expr"].replace("$__rate_interval", "30s")
            yield panel["title"], re.sub(r"\$(node|engine)\b", ".*", expression)


def dashboard():
    """Every panel says what it shows, has a place and an id of its own."""
    page = json.loads(DASHBOARD.read_text())
    panels = page["panels"]
    if len({panel["id"] for panel in panels}) != len(panels):
        fail("two panels of the dashboard have one id")
    places = [(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in panels]
    if len(set(places)) != len(places):
        fail("two panels of the dashboard have one place")
    for panel in panels:
        if panel["type"] != "row" and not (panel["description"] and panel["targets"]):
            fail(f"the panel {panel['title']} says nothing")


def ask(url, path, **query):
    """What Prometheus' HTTP API answers."""
    try:
        with urllib.request.urlopen(f"{url}/api/v1/{path}?{urllib.parse.urlencode(query)}", timeout=10) as reply:
            return json.load(reply)["data"]
    except urllib.error.HTTPError as error:
        fail(f"Prometheus refuses {query or path}: {error.read().decode()}")


def metrics(url):
    """Every metric that a rule or a panel names has a series; all expressions can be evaluated."""
    until = time.monotonic() + PATIENCE
    while True:
        try:
            rules = [rule for group in ask(url, "rules")["groups"] for rule in group["rules"]]
            break
        except urllib.error.URLError:
            if time.monotonic() > until:
                fail("Prometheus does not answer")
            time.sleep(0.5)
    panels = list(expressions())
    names = {name for text in [rule["query"] for rule in rules] + [text for _, text in panels] for name in METRIC.findall(text)}
    missing = names
    while missing and time.monotonic() < until:
        missing = {name for name in missing if not ask(url, "query", query=name.join(["count(", ")"]))["result"]}
        time.sleep(1)
    for title, expression in panels:
        ask(url, "query", query=expression)
    rules = [rule for group in ask(url, "rules")["groups"] for rule in group["rules"]]
    broken = [f"{rule['name']}: {rule['lastError']}" for rule in rules if rule["health"] != "ok"]
    if broken:
        fail("rules that Prometheus cannot evaluate:", *broken)
    down = [target["scrapeUrl"] for target in ask(url, "targets")["activeTargets"] if target["health"] != "up"]
    if down:
        fail("targets that Prometheus does not reach:", *down)
    if missing:
        fail(f"{len(missing)} of {len(names)} metrics are in rules or dashboard, and nobody has them:", *sorted(missing))
    print(f"{len(names)} metrics, {len(rules)} rules, {len(panels)} queries")


def group(name):
    """The system calls of one of systemd's groups."""
    text = subprocess.run(["systemd-analyze", "syscall-filter", name], check=True, capture_output=True, text=True).stdout
    calls = set()
    for line in text.splitlines()[1:]:
        word = line.strip()
        if word.startswith("@"):
            calls |= group(word)
        elif word and not word.startswith("#"):
            calls.add(word)
    return calls


def forbidden():
    """For strace: the system calls that the units forbid, sockets, and the call with which a program begins."""
    filters = re.findall(r"^SystemCallFilter=(~?)(.*)$", (DEPLOY / "systemd/assay-node.service").read_text(), re.M)
    for unit in DEPLOY.glob("systemd/*.service"):
        if re.findall(r"^SystemCallFilter=(~?)(.*)$", unit.read_text(), re.M) != filters:
            fail(f"{unit} has a filter of its own")
    allowed = set()
    for without, names in filters:
        calls = set().union(*(group(name) if name.startswith("@") else {name} for name in names.split()))
        allowed = allowed - calls if without else allowed | calls
    print("trace=!" + ",".join(f"?{call}" for call in sorted(allowed - {"execve", "socket"})))


def calls(log, unit):
    """After a unit's program had begun, it called nothing that the unit forbids."""
    text = pathlib.Path(unit).read_text()
    program = re.search(r"^ExecStart=(\S+)", text, re.M).group(1)
    _, begun, after = pathlib.Path(log).read_text().partition(f'execve("{program}"')
    if not begun:
        fail(f"{log} does not show {program}")
    made = set(re.findall(r"^\d+ +(\w+)\(", after, re.M)) - {"execve", "socket"}
    families = set(re.findall(r"^\d+ +socket\((\w+)", after, re.M))
    made |= families - set(re.search(r"^RestrictAddressFamilies=(.*)$", text, re.M).group(1).split())
    if made or not families:
        fail(f"{program} made system calls that its unit forbids, or no socket: {sorted(made)}")


HELP = {}


def help_of(program, *path):
    """A program's help: its flags and its subcommands."""
    key = (program, *path)
    if key not in HELP:
        text = subprocess.run([*key, "--help"], check=True, capture_output=True, text=True, timeout=20).stdout
        commands = re.search(r"^Commands:\n((?:(?:  .*)?\n)+)", text, re.M)
        HELP[key] = (
            set(re.findall(r"(?<![\w-])(--?[a-zA-Z][\w-]*)", text)),
            set(re.findall(r"^  ([a-z][\w-]*)", commands.group(1), re.M)) if commands else set(),
        )
    return HELP[key]


def check(binaries, words, where):
    """What is wrong with a command line."""
    program = f"{binaries}/{pathlib.Path(words[0]).name}"
    path, known = [], set()
    flags, below = help_of(program)
    known |= flags
    for place, word in enumerate(words[1:]):
        if word in below:
            path.append(word)
            flags, below = help_of(program, *path)
            known |= flags
        elif word.startswith("-") and word.split("=")[0] not in known:
            yield f"{where}: {' '.join(words[:1] + path)} has no flag {word}"
        elif below and place == len(path) and re.fullmatch(r"[a-z][a-z-]+", word):
            yield f"{where}: {' '.join(words[:1] + path)} has no command {word}"
            return


def parts(line):
    """The commands in a line of the shell's, as words."""
    words = shlex.shlex(line, posix=True, punctuation_chars=True)
    words.whitespace_split = True
    command = []
    for word in words:
        if word in {"&&", ";", "|", "||"}:
            yield command
            command = []
        else:
            command.append(word)
    yield command


def commands(binaries):
    """Every command line of ours in the operators' page, and in what runs the programs, is one that they understand."""
    sources = []
    for block in re.findall(r"^```sh\n(.*?)^```$", OPERATORS.read_text(), re.M | re.S):
        sources += [(OPERATORS, line) for line in block.splitlines()]
    sources += [(OPERATORS, line) for line in re.findall(r"`(assay[^`\n]*)`", OPERATORS.read_text())]
    for unit in DEPLOY.glob("systemd/*.service"):
        command = re.search(r"^ExecStart=(.*)$", unit.read_text(), re.M).group(1)
        variable = re.search(r"\$(ASSAY_\w+)", command).group(1)
        for settings in DEPLOY.glob("systemd/*.env"):
            for flags in re.findall(rf"^{variable}=(.*)$", settings.read_text(), re.M):
                sources.append((settings, command.replace(f"${variable}", flags)))
    compose = (DEPLOY / "compose.yaml").read_text()
    for command in re.findall(r"command: \[(.*)\]", compose):
        sources.append(("compose.yaml", command.replace(",", " ").replace('"', "")))
    for command in re.findall(r"command: >-\n((?:      .*\n)+)", compose):
        sources.append(("compose.yaml", " ".join(command.split())))
    wrong, checked = [], 0
    for where, line in sources:
        for words in parts(line):
            if words[:2] == ["sudo", "-u"]:
                words = words[3:]
            starts = [i for i, word in enumerate(words) if re.fullmatch(r"(?:\S*/)?assay(?:-node|-engine)?", word)]
            if starts and "systemctl" not in words[: starts[0]]:
                checked += 1
                wrong += check(binaries, words[starts[0]:], where)
    missing = [path for path in re.findall(r"- (\./[^:]+):", compose) if not (DEPLOY / path).exists()]
    wrong += [f"compose.yaml mounts {path}, which is not there" for path in missing]
    if wrong:
        fail("commands that the programs do not understand:", *wrong)
    print(f"{checked} commands")


if __name__ == "__main__":
    globals()[sys.argv[1]](*sys.argv[2:])
