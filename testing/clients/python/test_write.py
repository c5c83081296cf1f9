"""Objects as the typed client writes them: patches of each type, apply, deletion of collections, errors with reasons."""

import json

from kubernetes import client

from case import Case, config_map


class Writes(Case):
    def deployment(self):
        labels = {"app": "web"}
        container = client.V1Container(name="main", image="r.example/web:1")
        return client.V1Deployment(
            metadata=client.V1ObjectMeta(name="web"),
            spec=client.V1DeploymentSpec(
                replicas=2,
                selector=client.V1LabelSelector(match_labels=labels),
                template=client.V1PodTemplateSpec(
                    metadata=client.V1ObjectMeta(labels=labels),
                    spec=client.V1PodSpec(containers=[container]))))

    def test_a_typed_object_comes_back_with_its_defaults(self):
        made = self.apps.create_namespaced_deployment(self.namespace, self.deployment())
        self.assertEqual(made.spec.strategy.rolling_update.max_surge, "25%")
        self.assertEqual(made.spec.template.spec.containers[0].image_pull_policy, "IfNotPresent")
        self.assertEqual(made.metadata.managed_fields[0].manager, "OpenAPI-Generator")
        self.assertEqual(made.metadata.creation_timestamp.tzinfo.utcoffset(None).seconds, 0)
        read = self.apps.read_namespaced_deployment("web", self.namespace)
        read.spec.replicas = 3
        # Controllers write too; without a version it is the last word that counts.
        read.metadata.resource_version = None
        replaced = self.apps.replace_namespaced_deployment("web", self.namespace, read)
        self.assertEqual((replaced.spec.replicas, replaced.metadata.generation), (3, 2))

    def test_each_type_of_patch_does_what_it_is_for(self):
        self.apps.create_namespaced_deployment(self.namespace, self.deployment())
        side = {"spec": {"template": {"spec": {"containers": [{"name": "side", "image": "r.example/side:1"}]}}}}

        def patched(body, kind):
            made = self.apps.patch_namespaced_deployment(
                "web", self.namespace, body, _content_type=kind)
            return [each.name for each in made.spec.template.spec.containers]

        self.assertEqual(patched(side, "application/strategic-merge-patch+json"), ["side", "main"])
        self.assertEqual(patched(side, "application/merge-patch+json"), ["side"])
        path = "/spec/template/spec/containers/0/name"
        replace = [{"op": "replace", "path": path, "value": "only"}]
        self.assertEqual(patched(replace, "application/json-patch+json"), ["only"])
        with self.refused(422) as refusal:
            patched([{"op": "test", "path": path, "value": "other"}], "application/json-patch+json")
        self.assertEqual(json.loads(refusal.error.body)["reason"], "Invalid")
        with self.refused(415):
            patched(side, "application/unheard-of+json")
        scale = self.apps.patch_namespaced_deployment_scale("web", self.namespace, {"spec": {"replicas": 7}})
        self.assertEqual(scale.spec.replicas, 7)

    def test_apply_creates_merges_and_names_who_is_in_the_way(self):
        def apply(data, manager, **options):
            body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "web"}, "data": data}
            return self.core.patch_namespaced_config_map(
                "web", self.namespace, body, field_manager=manager,
                _content_type="application/apply-patch+yaml", **options)

        self.assertEqual(apply({"a": "1", "b": "1"}, "one").data, {"a": "1", "b": "1"})
        self.assertEqual(apply({"c": "1"}, "two").data, {"a": "1", "b": "1", "c": "1"})
        with self.refused(409) as refusal:
            apply({"a": "2"}, "two")
        causes = json.loads(refusal.error.body)["details"]["causes"]
        self.assertEqual(causes, [{"reason": "FieldManagerConflict", "field": ".data.a",
                                   "message": 'conflict with "one"'}])
        forced = apply({"a": "2"}, "two", force=True)
        self.assertEqual(forced.data, {"a": "2", "b": "1"})
        managers = {each.manager: each.fields_v1["f:data"] for each in forced.metadata.managed_fields}
        self.assertEqual(managers, {"one": {"f:b": {}}, "two": {"f:a": {}}})

    def test_errors_say_what_upstream_says(self):
        with self.refused(404) as missing:
            self.core.read_namespaced_config_map("web", self.namespace)
        body = json.loads(missing.error.body)
        self.assertEqual((body["reason"], body["message"]), ("NotFound", 'configmaps "web" not found'))
        self.assertEqual(body["details"], {"name": "web", "kind": "configmaps"})
        made = self.create("web")
        with self.refused(409) as again:
            self.create("web")
        self.assertEqual(json.loads(again.error.body)["reason"], "AlreadyExists")
        self.core.patch_namespaced_config_map("web", self.namespace, {"data": {"a": "1"}})
        with self.refused(409) as stale:
            self.core.replace_namespaced_config_map("web", self.namespace, made)
        self.assertEqual(json.loads(stale.error.body)["reason"], "Conflict")
        with self.refused(422) as invalid:
            self.core.create_namespaced_config_map(self.namespace, config_map("Not A Name"))
        self.assertEqual(json.loads(invalid.error.body)["details"]["causes"][0]["field"], "metadata.name")
        jane = client.ApiClient()
        jane.set_default_header("Impersonate-User", "jane")
        with self.refused(403) as forbidden:
            client.CoreV1Api(jane).list_namespaced_pod(self.namespace)
        self.assertEqual(
            json.loads(forbidden.error.body)["message"],
            'pods is forbidden: User "jane" cannot list resource "pods" in API group "" in the namespace '
            f'"{self.namespace}"')

    def test_a_collection_is_deleted_by_selector(self):
        for name in ["a", "b", "c"]:
            self.create(name)
        self.core.patch_namespaced_config_map("c", self.namespace, {"metadata": {"labels": {"keep": "yes"}}})
        dry = self.core.delete_collection_namespaced_config_map(
            self.namespace, label_selector="own", dry_run="All")
        self.assertEqual(len(self.config_maps().items), 3, dry)
        self.core.delete_collection_namespaced_config_map(self.namespace, label_selector="own,!keep")
        self.assertEqual([each.metadata.name for each in self.config_maps().items], ["c"])
        options = client.V1DeleteOptions(preconditions=client.V1Preconditions(uid="another"))
        with self.refused(409):
            self.core.delete_namespaced_config_map("c", self.namespace, body=options)
