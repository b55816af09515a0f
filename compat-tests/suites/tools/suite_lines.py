"""A pytest plugin (`-p suite_lines`): one line per test case, as ../run reads them."""

import os

import pytest

LINE_CHARACTERS_MAX = 300


def one_line(text):
    return " ".join(str(text).split())[:LINE_CHARACTERS_MAX]


class Lines:
    def __init__(self):
        self.outcomes = {}

    @staticmethod
    def name(nodeid):
        return nodeid.replace(" ", "_")

    def pytest_runtest_logreport(self, report):
        name = self.name(report.nodeid)
        if report.outcome == "rerun":
            self.outcomes.pop(name, None)
        elif report.failed:
            crash = getattr(report.longrepr, "reprcrash", None)
            reason = crash.message if crash else report.longreprtext.strip().splitlines()[-1:]
            stage = "" if report.when == "call" else f"{report.when}: "
            self.outcomes[name] = f"not ok {name}: {one_line(f'{stage}{reason}')}"
        elif report.skipped:
            reason = getattr(report, "wasxfail", None) or report.longrepr
            reason = reason[2] if isinstance(reason, tuple) else reason
            self.outcomes.setdefault(name, f"skip {name}: {one_line(reason)}")
        elif report.when == "call":
            self.outcomes.setdefault(name, f"ok {name}")

    def pytest_collectreport(self, report):
        if report.failed:
            name = self.name(report.nodeid)
            self.outcomes[name] = f"not ok {name}: collection: {one_line(report.longreprtext[-LINE_CHARACTERS_MAX:])}"

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self):
        with open(os.environ["SUITE_LINES"], "w") as out:
            out.writelines(f"{line}\n" for line in self.outcomes.values())


def pytest_configure(config):
    config.pluginmanager.register(Lines())
