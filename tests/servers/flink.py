"""A real Flink cluster for tests: a session cluster of one job manager and one task manager."""

import json
import shutil
import subprocess
import urllib.request
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from servers import cache
from servers.processes import ServerFailed, ServerProcess, free_port, wait_until

SLOTS = 4
_SETTINGS = """\
jobmanager.rpc.address: localhost
jobmanager.rpc.port: {rpc}
jobmanager.memory.process.size: 1024m
taskmanager.memory.process.size: 2000m
taskmanager.memory.jvm-metaspace.size: 512m
taskmanager.memory.managed.size: 128m
taskmanager.numberOfTaskSlots: {slots}
taskmanager.host: localhost
parallelism.default: 2
rest.port: {rest}
rest.address: localhost
rest.bind-address: localhost
blob.server.port: {blob}
io.tmp.dirs: {data}/temporary
state.checkpoints.dir: file://{data}/checkpoints
state.savepoints.dir: file://{data}/savepoints
web.upload.dir: {data}/uploads
restart-strategy.type: fixed-delay
restart-strategy.fixed-delay.attempts: 100
restart-strategy.fixed-delay.delay: 1s
heartbeat.timeout: 15000
heartbeat.interval: 3000
"""
_LOGGING = """\
rootLogger.level = WARN
rootLogger.appenderRef.out.ref = out
appender.out.name = out
appender.out.type = CONSOLE
appender.out.layout.type = PatternLayout
appender.out.layout.pattern = %d %p %c{1} %m%n%xEx
"""
_OPENED = (  # packages of java.base that Flink and Beam look into by reflection
    *("java.lang", "java.lang.reflect", "java.util", "java.util.concurrent", "java.util.concurrent.atomic"),
    *(
        "java.util.concurrent.locks",
        "java.nio",
        "java.net",
        "java.io",
        "java.time",
        "java.text",
        "sun.nio.ch",
    ),
)
_ANSWER = "BASH_JAVA_UTILS_EXEC_RESULT:"


class FlinkCluster:
    """A cluster with its REST interface at `master`; use it in a `with` block.

    `kill_task_manager` loses a machine, `start_task_manager` brings one back, whereupon jobs go on from their
    last checkpoint. Without high availability the job manager's end is the end of its jobs.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._home = cache.need(cache.flink_home(), "Flink")
        self.job_server = cache.need(cache.flink_job_server(), "Beam's job server for Flink")
        self._configuration = folder / "conf"
        self.port = free_port()
        self.master = f"http://localhost:{self.port}"
        opened = [f"--add-opens=java.base/{package}=ALL-UNNAMED" for package in _OPENED]
        logging = f"-Dlog4j.configurationFile=file:{self._configuration}/log4j.properties"
        self._java = [
            cache.need_java("Flink"),
            *opened,
            "--add-exports=java.base/sun.net.util=ALL-UNNAMED",
            logging,
        ]
        self._task_manager: ServerProcess | None = None
        self._task_managers = 0
        self._job_manager = ServerProcess(
            [
                *(*self._java, "-Xmx600m", "-XX:+UseSerialGC", "-cp", f"{self._home}/lib/*"),
                "org.apache.flink.runtime.entrypoint.StandaloneSessionClusterEntrypoint",
                *("--configDir", str(self._configuration), "--executionMode", "cluster"),
            ],
            folder / "job-manager.log",
        )

    def start(self) -> None:
        """Writes the settings, starts both processes and waits until the slots are there."""
        self._write_settings()
        self._job_manager.start()
        self.start_task_manager()

    def start_task_manager(self) -> None:
        """Starts the task manager, for the first time or again, and waits until it has registered."""
        if self._task_manager is None:
            self._task_manager = ServerProcess(self._task_manager_command(), self.folder / "task-manager.log")
        self._task_managers += 1  # a new name each time: the job manager may still know the dead one
        self._task_manager.start("-D", f"taskmanager.resource-id={self._task_manager_id}")
        self.wait_ready()

    def kill_task_manager(self) -> None:
        """`kill -9` of the task manager."""
        if self._task_manager is not None:
            self._task_manager.kill()

    def wait_ready(self, timeout: float = 90) -> None:
        """Returns when the newest task manager's slots are there, as the REST interface says."""
        wait_until(self._has_slots, f"Flink on {self.master}", timeout, self._task_manager)

    def stop(self) -> None:
        """Kills both processes."""
        self.kill_task_manager()
        self._job_manager.kill()

    def pipeline_options(self, *extra: str) -> list[str]:
        """Beam's flags to run a pipeline here, the worker in the calling process; `extra` goes behind."""
        return [
            "--runner=FlinkRunner",
            f"--flink_master={self.master}",
            "--flink_submit_uber_jar",
            f"--flink_job_server_jar={self.job_server}",
            "--environment_type=LOOPBACK",
            "--parallelism=2",
            *extra,
        ]

    def rest(self, path: str, method: str = "GET") -> Any:
        """The REST interface's decoded answer, for example to `jobs/overview`; OSError without one."""
        request = urllib.request.Request(f"{self.master}/v1/{path}", method=method)
        with urllib.request.urlopen(request, timeout=10) as answer:
            text = answer.read()
        return json.loads(text) if text else None

    def running_jobs(self) -> list[str]:
        """Ids of the jobs that have not ended."""
        ended = ("FINISHED", "CANCELED", "FAILED")
        return [job["jid"] for job in self.rest("jobs/overview")["jobs"] if job["state"] not in ended]

    def checkpoints(self, job: str) -> dict[str, int]:
        """How many checkpoints the job has `completed`, `failed`, `restored` from, and so on."""
        counts: dict[str, int] = self.rest(f"jobs/{job}/checkpoints")["counts"]
        return counts

    def exceptions(self, job: str) -> str:
        """What went wrong in the job, newest first: one that fails again and again still shows as running."""
        entries = self.rest(f"jobs/{job}/exceptions")["exceptionHistory"]["entries"]
        return "\n".join(entry["stacktrace"] for entry in entries)

    def cancel(self, job: str, timeout: float = 30) -> None:
        """Cancels the job and waits for its end; Beam's own `cancel` does not work for such jobs."""
        self.rest(f"jobs/{job}?mode=cancel", "PATCH")
        wait_until(lambda: job not in self.running_jobs(), f"end of job {job}", timeout)

    @property
    def _task_manager_id(self) -> str:
        return f"task-manager-{self._task_managers}"

    def _has_slots(self) -> bool:
        if not self._job_manager.alive:
            raise ServerFailed(f"Flink's job manager died. Its last words:\n{self._job_manager.tail()}")
        here = [one["id"] for one in self.rest("taskmanagers")["taskmanagers"] if one["slotsNumber"] == SLOTS]
        return self._task_manager_id in here

    def _write_settings(self) -> None:
        data = self.folder / "data"
        for name in ("temporary", "checkpoints", "savepoints", "uploads"):
            (data / name).mkdir(parents=True, exist_ok=True)
        self._configuration.mkdir(exist_ok=True)
        ports = {"rest": self.port, "rpc": free_port(), "blob": free_port()}
        (self._configuration / "config.yaml").write_text(_SETTINGS.format(data=data, slots=SLOTS, **ports))
        (self._configuration / "log4j.properties").write_text(_LOGGING)

    def _task_manager_command(self) -> list[str]:
        """Flink's own calculator gives the memory flags: a task manager refuses to start on others."""
        places = ["--configDir", str(self._configuration)]
        tools = f"{self._home}/bash-java-utils.jar:{self._home}/lib/*"
        calculator = "org.apache.flink.runtime.util.bash.BashJavaUtils"
        command = [*self._java, "-cp", tools, calculator, "GET_TM_RESOURCE_PARAMS", *places]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
        answers = [line.partition(_ANSWER)[2] for line in done.stdout.splitlines() if _ANSWER in line]
        if len(answers) != 2:
            raise ServerFailed(f"Flink's memory calculator failed:\n{done.stdout}{done.stderr}")
        jvm, settings = (answer.split() for answer in answers)
        main = "org.apache.flink.runtime.taskexecutor.TaskManagerRunner"
        return [*self._java, *jvm, "-XX:+UseSerialGC", "-cp", f"{self._home}/lib/*", main, *places, *settings]

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
        shutil.rmtree(self.folder / "data", ignore_errors=True)
