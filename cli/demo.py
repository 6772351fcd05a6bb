"""The demo: the whole organisation on this machine, and one model's way from Dev to Prod.

Every step is what its persona would do in AWS, with the credentials of the persona's own role.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rich.console import Console

from cli import approvals, board, deployments, ledger, present, projects, provisioning, reviews
from cli.aws import calling
from cli.commands import output
from cli.errors import GovernError
from cli.target import Target, at_endpoint, local_target
from governance.contracts.validation import problems
from local import deployment, launcher, organisation
from local.launcher import Server

MODEL = "clinical-risk-classifier"
ENDPOINT = "clinical-risk"
REPORT = Path("build/demo/report.json")
SCHEMA: dict[str, Any] = json.loads(
    Path(__file__).with_name("demo_report.schema.json").read_text(encoding="utf-8")
)
TRAINER = "theo"

_ROOT = Path(__file__).parents[1]
_PIPELINE = _ROOT / "templates" / "classical-regression" / "build"
_DEPLOYMENT = _ROOT / "templates" / "classical-regression" / "deploy" / "deployment.yaml"
_LONGEST = 600.0  # seconds for one workflow; far more than any needs
# One patient of the kind that the model was made for, in the units of pipeline/features.json.
PATIENT = {
    "age": 59,
    "sex": 2,
    "bmi": 32.1,
    "blood_pressure": 101,
    "total_cholesterol": 157,
    "ldl": 93.2,
    "hdl": 38,
    "cholesterol_ratio": 4,
    "log_triglycerides": 4.86,
    "glucose": 87,
}
_APPROVERS = {
    "dev": ("data-scientist", "Data Scientist"),
    "test": ("ai-engineer", "AI Engineer"),
    "prod": ("governance-engineer", "Governance Engineer"),
}
_REASON = {
    "dev": "Discrimination and calibration on the fixed holdout are good enough to go on.",
    "test": "Registered as the Data Scientist described it; ready for a real endpoint.",
    "prod": "Test report read: every suite passed for these bytes, subgroup gaps within the "
    "limits of tier high.",
}

_REVIEW = {
    "technical": "Code, data and test report read; every margin is wide.",
    "business": "Meets the requirements of the ward; the use case is approved.",
    "compliance": "Model card, bias assessment and use of data read; nothing is missing.",
    "deployment": "Monitoring is set up; the way back to what served before is known.",
}


def run(console: Console, as_json: bool) -> int:
    """Start afresh, deploy, and take one model to Prod; 0 if it got there.

    Progress goes to `console`, or to standard error if the result is wanted `as_json`. The report
    is written to build/demo/report.json, also when a step fails, with what was done until then.
    GovernError for the step that failed; the stack stays up to be looked at.
    """
    if as_json:
        console = present.console(stderr=True)
    story = Story(console)
    try:
        story.set_up()
        story.provision()
        arn = story.train()
        for stage in ("dev", "test"):
            arn = story.decide(stage, arn)
        story.review(arn)
        story.decide("prod", arn)
        story.call_prod()
        story.end()
        check_report(story.report)
    except (launcher.LauncherError, deployment.DeploymentError) as error:
        raise GovernError("failed", str(error), "govern local down, then make demo") from error
    finally:
        story.write_report()
    if as_json:
        output(story.report)
    return 0


def check_report(report: dict[str, Any]) -> None:
    """GovernError `invalid` if the report of a finished demo is not what its schema promises."""
    found = problems(SCHEMA, report)
    if found:
        raise GovernError("invalid", f"{REPORT} is not as promised: {'; '.join(found)}")


class Story:
    """The steps of the demo, and the report of what they did."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._started = time.monotonic()
        self._server: Server | None = None
        self.report: dict[str, Any] = {
            "set_up": [],
            "steps": [],
            "workflows": [],
            "prod_endpoint": None,
            "prediction": None,
        }

    def set_up(self) -> None:
        """Remove what an earlier run left, start the embedded AWS and deploy all four stacks."""
        self._heading("Set up: four accounts, the stacks that go to AWS")
        launcher.down()
        self._server = self._timed("start the embedded AWS", launcher.up)
        self._say(f"embedded AWS at {self._server.endpoint_url}")
        server = self._server
        self._timed("sam build, sam deploy", lambda: deployment.deploy(server, self._say))

    def provision(self) -> None:
        """The Admin enters the project into the directory."""
        self._heading("Admin: provision the project")
        accounts = {stage: organisation.ACCOUNTS[stage] for stage in ("dev", "test", "prod")}
        definition = deployments.read(_DEPLOYMENT, deployments.tier_policy("high"))
        project = provisioning.Project(
            *(MODEL, "clinical-risk", "high", accounts, ENDPOINT), definition
        )

        def step() -> None:
            where = self._as("ai-engineer")
            published = deployments.publish(where.session, where.central_account, MODEL, definition)
            self._say(f"published deployment definition {published['digest'][:12]} as ai-engineer")
            where = self._as("admin")
            done = provisioning.provision(where.session, project, account=where.central_account)
            for change in done["changes"]:
                self._say(f"{change['change']:9} {change['what']} {change['name']}")

        seconds = self._measure(step)
        self._step("admin", "adam", "provision", None, None, None, seconds)

    def train(self) -> str:
        """A Data Scientist trains and registers a version in Dev; its ARN."""
        self._heading(f"Data Scientist ({TRAINER}): train and register a model")
        results: list[dict[str, Any]] = []
        seconds = self._measure(lambda: results.append(self._train()))
        arn: str = results[0]["model_package_arn"]
        self._step("data-scientist", TRAINER, "train", arn, "Dev", "Registered", seconds)
        return arn

    def decide(self, stage: str, arn: str) -> str:
        """The stage's persona approves the version; the ARN of the version that comes of it."""
        persona, title = _APPROVERS[stage]
        person = organisation.PERSONAS[persona][2]
        version = int(arn.rpartition("/")[2])
        self._heading(f"{title} ({person}): approve {MODEL}/{version} for {stage.title()}")
        started = time.monotonic()
        where = self._as(persona)
        after = ledger.head(where.reader, MODEL)
        decision = approvals.decide(
            where.session,
            MODEL,
            version,
            stage,
            approvals.APPROVED,
            _REASON[stage],
            account=approvals.account_for(where, stage, MODEL),
        )
        self._say(f"{person} set {decision.stage}/Approved; that starts {decision.workflow}")
        entry = self._follow(where, decision, after)
        seconds = time.monotonic() - started
        self._step(
            persona,
            person,
            f"approve for {stage}",
            arn,
            entry["stage"],
            entry["stage_status"],
            seconds,
        )
        self._workflow(where, str(decision.workflow), entry["execution_arn"])
        refused = approvals.refusal(entry, decision)
        if refused is not None:
            raise refused
        return str(entry["model_package_arn"])

    def review(self, arn: str) -> None:
        """Four people, as tier high asks for, each give one review of the version."""
        version = int(arn.rpartition("/")[2])
        self._heading(f"Four reviewers: review {MODEL}/{version} for Prod")
        for kind, (persona, person) in organisation.REVIEWERS.items():
            started = time.monotonic()
            where = local_target(persona, self._running().endpoint_url, person)
            said = reviews.say(
                *(where.session, where.reader, MODEL, version),
                *(reviews.phase_of(kind), _REVIEW[kind]),
            )
            entry = reviews.recorded(where.reader, said, timeout=_LONGEST, interval=0.3)
            self._say(f"{person} gave the {kind} review; it is entry {entry['sequence']}")
            seconds = time.monotonic() - started
            self._step(
                *(persona, person, f"review {kind}", arn),
                *(entry["stage"], entry["stage_status"], seconds),
            )

    def call_prod(self) -> None:
        """An application in the Prod account asks the endpoint about one patient."""
        self._heading("An application in Prod: call the endpoint")
        server = self._running()
        account = organisation.ACCOUNTS["prod"]
        session = at_endpoint(organisation.root_session(account), server.endpoint_url)
        with calling(f"invoke endpoint {ENDPOINT} in account {account}"):
            answer = session.client("sagemaker-runtime").invoke_endpoint(
                EndpointName=ENDPOINT,
                ContentType="application/json",
                Body=json.dumps({"instances": [PATIENT]}),
            )
        prediction = json.loads(answer["Body"].read())["predictions"][0]
        self.report["prod_endpoint"] = (
            f"arn:aws:sagemaker:{server.region}:{account}:endpoint/{ENDPOINT}"
        )
        self.report["prediction"] = prediction
        self._say(f"patient {json.dumps(PATIENT)}")
        self._say(f"answer  {json.dumps(prediction)}")

    def end(self) -> None:
        """Where everything stands, how to look around and how to stop."""
        where = self._as("governance-engineer")
        found = board.board(
            where.reader, projects.all_projects(where.reader), where.central_account
        )
        seconds = time.monotonic() - self._started
        self.report["seconds"] = round(seconds, 1)
        self._heading(f"Done in {seconds:.0f} s")
        self._console.print(present.stages_table(found["versions"]))
        self._console.print(present.endpoints_table(found["endpoints"]))
        self._console.print(
            f"The stack is still up at {self._running().endpoint_url}. Look around:\n"
            "  .venv/bin/govern status\n"
            f"  .venv/bin/govern history {MODEL}\n"
            f"  cat {REPORT}\n"
            "Stop it, and leave nothing behind:\n"
            "  .venv/bin/govern local down",
        )

    def write_report(self) -> None:
        """Write what was done to build/demo/report.json."""
        path = _ROOT / REPORT
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(self.report, indent=2) + "\n")

    def _train(self) -> dict[str, Any]:
        server, dev = self._running(), organisation.ACCOUNTS["dev"]
        session = organisation.assume(
            organisation.root_session(dev),
            f"arn:aws:iam::{dev}:role/governed-path-training",
            server.endpoint_url,
            TRAINER,
            source_identity=True,
        )
        environment = organisation.environment(session, server.endpoint_url)
        bucket = f"governed-path-project-{dev}-{server.region}"
        command = [sys.executable, "-m", "pipeline.run", "--json", "--bucket", bucket]
        process = subprocess.Popen(
            [*command, "--model-package-group", MODEL],
            cwd=_PIPELINE,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert process.stderr is not None
        said = []
        for line in process.stderr:
            said.append(line.rstrip())
            self._say(said[-1])
        result = process.communicate()[0]
        if process.returncode:
            raise GovernError("failed", "training failed: " + "\n".join(said[-5:]), "see above")
        trained: dict[str, Any] = json.loads(result)
        return trained

    def _follow(self, where: Target, decision: approvals.Decision, after: int) -> dict[str, Any]:
        with self._console.status(f"{decision.workflow} ...") as spinner:

            def tell(elapsed: float, entry: Any) -> None:
                spinner.update(f"{decision.workflow} {elapsed:.0f} s")
                if entry is not None:
                    self._say(
                        f"{decision.workflow} recorded {entry['kind']}: "
                        f"{entry['stage']}/{entry['stage_status']}"
                    )

            return approvals.follow(
                where.reader, decision, after=after, timeout=_LONGEST, interval=0.3, progress=tell
            )

    def _workflow(self, where: Target, name: str, execution_arn: str) -> None:
        """Enter an execution into the report, once it has ended: the ledger is a moment ahead."""
        client = where.reader.client("stepfunctions")
        with calling(f"describe execution {execution_arn}"):
            found = client.describe_execution(executionArn=execution_arn)
            while found["status"] == "RUNNING":
                time.sleep(0.1)
                found = client.describe_execution(executionArn=execution_arn)
        seconds = (found["stopDate"] - found["startDate"]).total_seconds()
        self.report["workflows"].append(
            {
                "name": name,
                "execution_arn": execution_arn,
                "status": found["status"],
                "seconds": round(seconds, 2),
            }
        )
        self._say(f"{name} {found['status']} after {seconds:.1f} s")

    def _step(
        self,
        persona: str,
        person: str,
        action: str,
        arn: str | None,
        stage: str | None,
        stage_status: str | None,
        seconds: float,
    ) -> None:
        self.report["steps"].append(
            {
                "persona": persona,
                "person": person,
                "action": action,
                "model_package_arn": arn,
                "stage": stage,
                "stage_status": stage_status,
                "seconds": round(seconds, 2),
            }
        )

    def _timed(self, name: str, work: Callable[[], Any]) -> Any:
        started = time.monotonic()
        result = work()
        seconds = round(time.monotonic() - started, 2)
        self.report["set_up"].append({"name": name, "seconds": seconds})
        return result

    def _measure(self, work: Callable[[], None]) -> float:
        started = time.monotonic()
        work()
        return time.monotonic() - started

    def _as(self, persona: str) -> Target:
        return local_target(persona, self._running().endpoint_url)

    def _running(self) -> Server:
        assert self._server is not None, "set_up comes first"
        return self._server

    def _heading(self, text: str) -> None:
        self._console.print(f"\n{text}", style="bold")

    def _say(self, text: str) -> None:
        seconds = time.monotonic() - self._started
        self._console.print(f"{seconds:6.1f} s  {text}", soft_wrap=True)
