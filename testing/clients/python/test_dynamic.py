"""The dynamic client finds kinds by discovery; leaders are elected on a Lease."""

import threading
import time
from datetime import datetime, timezone

from kubernetes import client
from kubernetes.client.rest import ApiException
from kubernetes.dynamic.exceptions import ConflictError, NotFoundError, ResourceNotFoundError
from kubernetes.leaderelection import electionconfig, leaderelection
from kubernetes.leaderelection.leaderelectionrecord import LeaderElectionRecord

from case import Case, Flags


class Dynamic(Case):
    def test_kinds_are_discovered(self):
        deployments = self.dynamic.resources.get(api_version="apps/v1", kind="Deployment")
        self.assertEqual((deployments.name, deployments.namespaced), ("deployments", True))
        self.assertIn("deletecollection", deployments.verbs)
        self.assertEqual(self.dynamic.resources.get(short_names=["cm"]).kind, "ConfigMap")
        self.assertIn("status", deployments.subresources)
        with self.assertRaises(ResourceNotFoundError):
            self.dynamic.resources.get(api_version="shop.example/v1", kind="Ship")
        self.assertEqual(self.dynamic.version["kubernetes"]["major"], "1")

    def test_objects_of_any_kind_are_written_and_watched(self):
        secrets = self.dynamic.resources.get(api_version="v1", kind="Secret")
        body = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "word"}, "stringData": {"a": "xyzzy"}}
        made = secrets.create(body=body, namespace=self.namespace)
        self.assertEqual((made.data.a, made.type), ("eHl6enk=", "Opaque"))
        with self.assertRaises(ConflictError):
            secrets.create(body=body, namespace=self.namespace)
        applied = secrets.server_side_apply(
            body={"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "word"}, "data": {"b": "eA=="}},
            namespace=self.namespace, field_manager="dynamic")
        self.assertEqual(applied.data.to_dict(), {"a": "eHl6enk=", "b": "eA=="})
        changed = secrets.patch(body={"metadata": {"labels": {"x": "y"}}}, name="word", namespace=self.namespace)
        self.assertEqual(changed.metadata.labels.x, "y")
        for event in secrets.watch(namespace=self.namespace, name="word", timeout=30,
                                   resource_version=made.metadata.resourceVersion):
            self.assertEqual((event["type"], event["object"].data.b), ("MODIFIED", "eA=="))
            break
        secrets.delete(name="word", namespace=self.namespace)
        with self.assertRaises(NotFoundError):
            secrets.get(name="word", namespace=self.namespace)

    def test_a_leader_that_falls_silent_is_followed_by_another(self):
        flags = Flags()
        locks = {name: LeaseLock("lead", self.namespace, name) for name in ["one", "two"]}

        def run(name):
            config = electionconfig.Config(
                locks[name], lease_duration=3, renew_deadline=2, retry_period=1,
                onstarted_leading=lambda: flags.add(f"{name} leads"),
                onstopped_leading=lambda: flags.add(f"{name} stopped"))
            threading.Thread(target=leaderelection.LeaderElection(config).run, daemon=True).start()

        run("one")
        flags.wait("one leads")
        run("two")
        locks["one"].is_silent = True
        flags.wait("one stopped")
        flags.wait("two leads")
        lease = client.CoordinationV1Api().read_namespaced_lease("lead", self.namespace)
        self.assertEqual(lease.spec.holder_identity, "two")
        self.assertLess(flags.raised.index("one leads"), flags.raised.index("two leads"))


class LeaseLock:
    """A lock of the client's leader election that is a Lease; the client itself ships one that is a ConfigMap."""

    def __init__(self, name, namespace, identity):
        self.api = client.CoordinationV1Api()
        self.name, self.namespace, self.identity = name, namespace, identity
        self.is_silent, self.lease = False, None

    def get(self, name, namespace):
        try:
            self.lease = self.api.read_namespaced_lease(name, namespace)
        except ApiException as error:
            return False, error
        spec = self.lease.spec
        return True, LeaderElectionRecord(
            spec.holder_identity, spec.lease_duration_seconds, str(spec.acquire_time), str(spec.renew_time))

    def create(self, name, namespace, election_record):
        lease = client.V1Lease(metadata=client.V1ObjectMeta(name=name), spec=self.spec(election_record))
        return self.done(lambda: self.api.create_namespaced_lease(namespace, lease))

    def update(self, name, namespace, updated_record):
        if self.is_silent:
            return False
        self.lease.spec = self.spec(updated_record)
        return self.done(lambda: self.api.replace_namespaced_lease(name, namespace, self.lease))

    def spec(self, record):
        now = datetime.fromtimestamp(time.time(), timezone.utc)
        return client.V1LeaseSpec(
            holder_identity=record.holder_identity, lease_duration_seconds=int(record.lease_duration),
            acquire_time=now, renew_time=now)

    def done(self, request):
        try:
            request()
        except ApiException:
            return False
        return True
