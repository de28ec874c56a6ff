"""A Kafka 4 broker (KRaft, one node, from Maven jars) and producers that stay warm beside it."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

from servers import HOST, Measured, PeerFailure, free_port, stop, wait_for_port

SETTINGS = """\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@{host}:{controller}
listeners=PLAINTEXT://{host}:{port},CONTROLLER://{host}:{controller}
advertised.listeners=PLAINTEXT://{host}:{port}
controller.listener.names=CONTROLLER
inter.broker.listener.name=PLAINTEXT
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
log.dirs={folder}/data
num.partitions=1
message.max.bytes=8388608
socket.request.max.bytes=67108864
offsets.topic.replication.factor=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
"""
START_WITHIN_S = 180.0  # 3 s on an idle machine


class KafkaBroker:
    """Topics `synced` (flush.messages=1: each appended batch is synced) and `unsynced`."""

    def __init__(self, jars: Path, folder: Path) -> None:
        self._classpath = f"{jars}/*"
        self._folder = folder
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        port, controller = free_port(), free_port()
        self.address = f"{HOST}:{port}"
        settings = folder / "server.properties"
        settings.write_text(
            SETTINGS.format(host=HOST, port=port, controller=controller, folder=folder)
        )
        cluster = self._tool("kafka.tools.StorageTool", "random-uuid").splitlines()[-1]
        self._tool("kafka.tools.StorageTool", "format", "-t", cluster, "-c", str(settings))
        with (folder / "broker.log").open("wb") as log:
            self._broker = subprocess.Popen(
                [*self._java("-Xms1g", "-Xmx1g", "-XX:+UseG1GC"), "kafka.Kafka", str(settings)],
                stdout=log,
                stderr=log,
            )
        self._producers: subprocess.Popen[str] | None = None
        try:
            wait_for_port(port, START_WITHIN_S, self._broker)
            self._make_topic("synced", "--config", "flush.messages=1")
            self._make_topic("unsynced")
            source = Path(__file__).parent / "kafka" / "LogProducers.java"
            self._producers = subprocess.Popen(
                [*self._java("-Xms512m", "-Xmx1g"), str(source), self.address],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
            )
        except BaseException:
            self.close()
            raise

    def measure(
        self,
        topic: str,
        producers: int,
        event_bytes: int,
        batch: int,
        seconds: tuple[float, float],
        sharing: str = "own",
    ) -> Measured:
        assert self._producers and self._producers.stdin and self._producers.stdout
        line = f"{topic} {producers} {event_bytes} {batch} {seconds[0]} {seconds[1]} {sharing}\n"
        self._producers.stdin.write(line)
        self._producers.stdin.flush()
        answer = self._producers.stdout.readline()
        if not answer.startswith("{"):
            raise PeerFailure(f"Kafka, {line.strip()}: {answer.strip() or 'the producers ended'}")
        return Measured.read(json.loads(answer))

    def close(self) -> None:
        for process in (self._producers, self._broker):
            if process:
                stop(process)

    def _java(self, *options: str) -> list[str]:
        quiet = "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn"
        return ["java", quiet, *options, "-cp", self._classpath]

    def _tool(self, name: str, *arguments: str) -> str:
        command = [*self._java(), name, *arguments]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise PeerFailure(f"{name} {arguments[0]}: {done.stderr[-500:] or done.stdout[-500:]}")
        return done.stdout

    def _make_topic(self, name: str, *options: str) -> None:
        tool = "org.apache.kafka.tools.TopicCommand"
        server = ("--bootstrap-server", self.address)
        self._tool(tool, *server, "--create", "--topic", name, "--partitions", "1", *options)
