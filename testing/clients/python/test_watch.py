"""Lists in pages and watches: resumed, with bookmarks, too old; the informer."""

import base64
import json

from kubernetes import client, informer, watch

from case import WAIT, Case, Flags


def of_revision(token, revision):
    """A continue token with another revision in it."""
    padded = token + "=" * (-len(token) % 4)
    inner = json.loads(base64.urlsafe_b64decode(padded))
    inner["rv"] = revision
    return base64.urlsafe_b64encode(json.dumps(inner).encode()).decode().rstrip("=")


class Watches(Case):
    def test_a_list_comes_in_pages_of_one_state(self):
        for number in range(7):
            self.create(f"m-{number}")
        seen, token, left = [], None, []
        while True:
            page = self.config_maps(limit=3, _continue=token)
            seen += [each.metadata.name for each in page.items]
            left.append(page.metadata.remaining_item_count)
            self.assertEqual(page.metadata.resource_version, self.first(page))
            token = page.metadata._continue
            if not token:
                break
            self.core.delete_namespaced_config_map(seen[-1], self.namespace)
            self.create(f"late-{len(seen)}")
        self.assertEqual(seen, [f"m-{number}" for number in range(7)])
        # With a selector the server does not say how many are left.
        self.assertEqual(left, [None, None, None])
        page = self.core.list_namespaced_config_map(self.namespace, limit=2)
        self.assertEqual(page.metadata.remaining_item_count, 6)
        with self.refused(400):
            self.config_maps(limit=3, _continue="nonsense")

    def first(self, page):
        self.version = getattr(self, "version", page.metadata.resource_version)
        return self.version

    def test_a_watch_goes_on_where_it_ended(self):
        version = self.config_maps().metadata.resource_version
        self.create("a")
        self.core.patch_namespaced_config_map("a", self.namespace, {"data": {"x": "1"}})
        self.core.delete_namespaced_config_map("a", self.namespace)
        self.create("b")

        def events(count, version):
            stream = watch.Watch()
            for event in stream.stream(self.core.list_namespaced_config_map, self.namespace,
                                       label_selector="own", resource_version=version, timeout_seconds=WAIT):
                yield event["type"], event["object"].metadata.name, event["object"].metadata.resource_version
                count -= 1
                if not count:
                    return

        every = list(events(4, version))
        self.assertEqual([each[:2] for each in every],
                         [("ADDED", "a"), ("MODIFIED", "a"), ("DELETED", "a"), ("ADDED", "b")])
        self.assertEqual(list(events(2, every[1][2])), every[2:])
        self.assertEqual(sorted({each[2] for each in every}, key=int), [each[2] for each in every])

    def test_a_watch_ends_in_time_with_a_bookmark(self):
        made = self.create("a")
        stream = watch.Watch()
        events = list(stream.stream(self.core.list_namespaced_config_map, self.namespace, label_selector="own",
                                    resource_version="0", allow_watch_bookmarks=True, timeout_seconds=2))
        self.assertEqual(events[0]["object"].metadata.name, "a")
        self.assertTrue(all(each["type"] == "BOOKMARK" for each in events[1:]))
        self.assertGreaterEqual(int(stream.resource_version), int(made.metadata.resource_version))

    def test_a_streamed_list_ends_with_its_bookmark(self):
        for name in ["a", "b"]:
            self.create(name)
        seen = []
        for event in watch.Watch().stream(
                self.core.list_namespaced_config_map, self.namespace, label_selector="own",
                allow_watch_bookmarks=True, send_initial_events=True,
                resource_version_match="NotOlderThan", timeout_seconds=WAIT):
            metadata = event["raw_object"]["metadata"]
            seen.append((event["type"], metadata.get("name")))
            if metadata.get("annotations", {}).get("k8s.io/initial-events-end") == "true":
                break
        self.assertEqual(sorted(seen[:2]), [("ADDED", "a"), ("ADDED", "b")])
        self.assertEqual(seen[2][0], "BOOKMARK")

    def test_what_is_forgotten_is_gone_and_can_be_listed_anew(self):
        self.create("a")
        self.create("b")
        page = self.config_maps(limit=1)
        # More than what a server remembers of one kind.
        for number in range(20):
            self.core.patch_namespaced_config_map(
                "a", self.namespace, {"data": {"big": str(number % 10) * 900_000}})
        with self.refused(410) as gone:
            for _ in watch.Watch().stream(self.core.list_namespaced_config_map, self.namespace,
                                          resource_version=page.metadata.resource_version, timeout_seconds=WAIT):
                self.fail("a watch that has missed something says so first")
        self.assertRegex(gone.error.reason, r"^Expired: too old resource version: \d+ \(\d+\)$")
        # The page's own state is kept for those who go on with it; the one before anything was made is not.
        rest = self.config_maps(limit=1, _continue=page.metadata._continue)
        self.assertEqual([each.metadata.name for each in rest.items], ["b"])
        with self.refused(410) as gone:
            self.config_maps(limit=1, _continue=of_revision(page.metadata._continue, 1))
        # The list may go on all the same, from a later state.
        token = json.loads(gone.error.body)["metadata"]["continue"]
        rest = self.config_maps(limit=1, _continue=token)
        self.assertEqual([each.metadata.name for each in rest.items], ["b"])

    def test_an_informer_follows(self):
        self.create("a")
        flags = Flags()
        follow = informer.SharedInformer(self.core.list_namespaced_config_map, self.namespace, label_selector="own")
        for kind in [informer.ADDED, informer.MODIFIED, informer.DELETED]:
            follow.add_event_handler(kind, lambda each, kind=kind: flags.add((kind, each.metadata.name)))
        follow.start()
        try:
            flags.wait((informer.ADDED, "a"))
            self.create("b")
            flags.wait((informer.ADDED, "b"))
            self.core.patch_namespaced_config_map("b", self.namespace, {"data": {"x": "1"}})
            flags.wait((informer.MODIFIED, "b"))
            self.assertEqual(follow.cache.get_by_key(f"{self.namespace}/b").data, {"x": "1"})
            self.core.delete_namespaced_config_map("a", self.namespace)
            flags.wait((informer.DELETED, "a"))
            self.assertEqual(follow.cache.list_keys(), [f"{self.namespace}/b"])
        finally:
            follow.stop()

    def test_the_answer_can_be_a_table_or_metadata_alone(self):
        self.create("a", {"x": "1"})

        def listed(accept):
            api = client.ApiClient()
            path = f"/api/v1/namespaces/{self.namespace}/configmaps"
            answer = api.call_api(path, "GET", query_params=[("labelSelector", "own")],
                                  header_params={"Accept": accept}, auth_settings=["BearerToken"],
                                  _preload_content=False, _return_http_data_only=True)
            return json.loads(answer.data)

        table = listed("application/json;as=Table;v=v1;g=meta.k8s.io,application/json")
        self.assertEqual([each["name"] for each in table["columnDefinitions"]], ["Name", "Data", "Age"])
        self.assertEqual(table["rows"][0]["cells"][:2], ["a", 1])
        partial = listed("application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io")
        self.assertEqual(partial["kind"], "PartialObjectMetadataList")
        self.assertNotIn("data", partial["items"][0])
