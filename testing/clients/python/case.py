"""What the tests share: the clients, a namespace per test, waiting for a condition."""

import logging
import threading
import unittest

from kubernetes import client, config, dynamic
from kubernetes.client.rest import ApiException

WAIT = 30
"""Longest wait for anything, in seconds."""


# The informer complains when it is stopped, for then its connection breaks off.
logging.getLogger("kubernetes.informer").setLevel(logging.CRITICAL)


def config_map(name, data=None, labels=None):
    return client.V1ConfigMap(metadata=client.V1ObjectMeta(name=name, labels=labels), data=data)


class Case(unittest.TestCase):
    """A test in a namespace of its own."""

    @classmethod
    def setUpClass(cls):
        config.load_kube_config()
        cls.core = client.CoreV1Api()
        cls.apps = client.AppsV1Api()
        cls.dynamic = dynamic.DynamicClient(client.ApiClient())

    def setUp(self):
        space = self.core.create_namespace(
            client.V1Namespace(metadata=client.V1ObjectMeta(generate_name="python-")))
        self.namespace = space.metadata.name

    def config_maps(self, **options):
        """Lists the test's own config maps, which are labelled."""
        return self.core.list_namespaced_config_map(self.namespace, label_selector="own", **options)

    def create(self, name, data=None):
        return self.core.create_namespaced_config_map(
            self.namespace, config_map(name, data, {"own": ""}))

    def refused(self, status):
        """Expects the error that the client raises for an answer's code."""
        return Refused(self, status)


class Refused:
    """A block that must be refused with a status; keeps the error."""

    def __init__(self, case, status):
        self.case, self.status, self.error = case, status, None

    def __enter__(self):
        return self

    def __exit__(self, kind, error, _trace):
        self.case.assertIsInstance(error, ApiException, "nothing was refused")
        self.case.assertEqual(error.status, self.status, error.body)
        self.error = error
        return True


class Flags:
    """Named events that threads wait for."""

    def __init__(self):
        self.condition, self.raised = threading.Condition(), []

    def add(self, flag):
        with self.condition:
            self.raised.append(flag)
            self.condition.notify_all()

    def wait(self, flag):
        with self.condition:
            if not self.condition.wait_for(lambda: flag in self.raised, WAIT):
                raise AssertionError(f"{flag} did not happen: {self.raised}")
