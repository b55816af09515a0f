"""A pytest plugin (`-p given_broker`) for suites that start RabbitMQ in a container: they get the broker that the
environment names instead, as if a container had just been started with it."""

import os

import pytest
from tests import docker_client
from yarl import URL


class GivenBroker:
    """In place of the suites' `DockerClient`."""

    def __init__(self, docker_host_info=None):
        del docker_host_info

    def run(self, image, ports, environment=None):
        del image, environment
        known = {"5672/tcp": int(os.environ["LEVERET_PORT"]), "5671/tcp": 5671}
        return docker_client.ContainerInfo(
            id="given", ports={port: known[port] for port in ports}, host=os.environ["LEVERET_HOST"]
        )

    def kill(self, container):
        pass

    def remove(self, container):
        pass


docker_client.check_docker_available = lambda: docker_client.DockerHostInfo(is_tcp=True)
docker_client.DockerClient = GivenBroker


# aiormq's source archive lacks the file that defines these; aio-pika's has its own.
@pytest.fixture(scope="session")
def rabbitmq_container():
    return GivenBroker().run("", ["5672/tcp", "5671/tcp"])


@pytest.fixture(scope="session")
def amqp_direct_url(rabbitmq_container):
    return URL.build(
        scheme="amqp",
        user="guest",
        password="guest",
        path="//",
        host=rabbitmq_container.host,
        port=rabbitmq_container.ports["5672/tcp"],
    )
