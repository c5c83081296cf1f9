// What the official JavaScript client sees: typed and untyped objects, patches, apply, pages, watches, the informer,
// a lease that one holder at a time takes, errors with reasons. Each test has a namespace of its own.

import assert from "node:assert/strict";
import { before, test } from "node:test";

import * as k8s from "@kubernetes/client-node";

const WAIT_MS = 30_000;
const config = new k8s.KubeConfig();
config.loadFromDefault();
const core = config.makeApiClient(k8s.CoreV1Api);
const apps = config.makeApiClient(k8s.AppsV1Api);
const leases = config.makeApiClient(k8s.CoordinationV1Api);
const objects = k8s.KubernetesObjectApi.makeApiClient(config);

/** Runs a test in a namespace of its own. */
function story(claim, tell) {
  test(claim, { timeout: WAIT_MS }, async () => {
    const space = await core.createNamespace({ body: { metadata: { generateName: "node-" } } });
    await tell(space.metadata.name);
  });
}

const configMap = (name, data) => ({ metadata: { name, labels: { own: "" } }, data });

/** Expects the error that the client throws for an answer's code; gives the Status in it. */
async function refused(code, promise) {
  const error = await promise.then(() => assert.fail("nothing was refused"), (error) => error);
  assert.equal(error.code, code, String(error));
  return typeof error.body === "string" ? JSON.parse(error.body) : error.body;
}

/** Collects what happens, and waits for it. */
class Seen {
  events = [];
  #waiting = [];

  add(event) {
    this.events.push(event);
    this.#waiting = this.#waiting.filter((check) => !check());
  }

  until(what) {
    return new Promise((resolve) => {
      const check = () => this.events.some((event) => event === what) && (resolve(), true);
      if (!check()) this.#waiting.push(check);
    });
  }
}

/** Watches until a number of events came. */
async function watched(path, query, count) {
  const events = [];
  let request;
  await new Promise((resolve, reject) => {
    const see = (type, object) => {
      events.push({ type, object });
      if (events.length >= count) resolve();
    };
    const done = (error) => (error ? reject(error) : resolve());
    request = new k8s.Watch(config).watch(path, query, see, done);
  }).finally(async () => (await request).abort());
  return events;
}

before(() => assert.ok(config.getCurrentCluster().server.startsWith("https://127.0.0.1:")));

story("a typed object comes back with its defaults", async (namespace) => {
  const labels = { app: "web" };
  const body = {
    metadata: { name: "web" },
    spec: {
      replicas: 2,
      selector: { matchLabels: labels },
      template: { metadata: { labels }, spec: { containers: [{ name: "main", image: "r.example/web:1" }] } },
    },
  };
  const made = await apps.createNamespacedDeployment({ namespace, body });
  assert.equal(made.spec.strategy.rollingUpdate.maxSurge, "25%");
  assert.ok(made.metadata.creationTimestamp instanceof Date);
  made.spec.replicas = 3;
  // Controllers write too; without a version it is the last word that counts.
  delete made.metadata.resourceVersion;
  const replaced = await apps.replaceNamespacedDeployment({ namespace, name: "web", body: made });
  assert.equal(replaced.metadata.generation, 2);
  const scale = await apps.readNamespacedDeploymentScale({ namespace, name: "web" });
  assert.deepEqual([scale.spec.replicas, scale.status.selector], [3, "app=web"]);
});

story("each type of patch does what it is for", async (namespace) => {
  const body = { ...configMap("web", { a: "1" }), apiVersion: "v1", kind: "ConfigMap" };
  body.metadata.namespace = namespace;
  await objects.create(body);
  const patch = async (fields, strategy, options = {}) => {
    const spec = Array.isArray(fields) ? fields : { apiVersion: "v1", kind: "ConfigMap", ...fields };
    spec.metadata = { name: "web", namespace };
    const { manager, force } = options;
    return (await objects.patch(spec, undefined, undefined, manager, force, strategy)).data;
  };
  const { PatchStrategy } = k8s;
  assert.deepEqual(await patch({ data: { b: "2" } }, PatchStrategy.StrategicMergePatch), { a: "1", b: "2" });
  assert.deepEqual(await patch({ data: { a: null } }, PatchStrategy.MergePatch), { b: "2" });
  const asJson = k8s.setHeaderOptions("Content-Type", PatchStrategy.JsonPatch);
  const replace = [{ op: "replace", path: "/data/b", value: "3" }];
  const replaced = await core.patchNamespacedConfigMap({ namespace, name: "web", body: replace }, asJson);
  assert.deepEqual(replaced.data, { b: "3" });
  const apply = (fields, manager, force) => patch(fields, PatchStrategy.ServerSideApply, { manager, force });
  assert.deepEqual(await apply({ data: { c: "4" } }, "one"), { b: "3", c: "4" });
  const status = await refused(409, apply({ data: { c: "5" } }, "two"));
  assert.equal(status.details.causes[0].message, 'conflict with "one"');
  assert.deepEqual(await apply({ data: { c: "5" } }, "two", true), { b: "3", c: "5" });
  assert.deepEqual(await apply({}, "two"), { b: "3" });
});

story("a list comes in pages of one state", async (namespace) => {
  for (let number = 0; number < 5; number += 1) {
    await core.createNamespacedConfigMap({ namespace, body: configMap(`m-${number}`) });
  }
  const names = [];
  const versions = new Set();
  let token;
  do {
    const page = await core.listNamespacedConfigMap({ namespace, labelSelector: "own", limit: 2, _continue: token });
    names.push(...page.items.map((each) => each.metadata.name));
    versions.add(page.metadata.resourceVersion);
    token = page.metadata._continue;
    await core.createNamespacedConfigMap({ namespace, body: configMap(`late-${names.length}`) });
  } while (token);
  assert.deepEqual(names, ["m-0", "m-1", "m-2", "m-3", "m-4"]);
  assert.equal(versions.size, 1);
});

story("a watch goes on where it ended, and streams a list first if asked", async (namespace) => {
  const path = `/api/v1/namespaces/${namespace}/configmaps`;
  const start = (await core.listNamespacedConfigMap({ namespace })).metadata.resourceVersion;
  const query = { labelSelector: "own", resourceVersion: start };
  await core.createNamespacedConfigMap({ namespace, body: configMap("a") });
  await core.deleteNamespacedConfigMap({ namespace, name: "a" });
  await core.createNamespacedConfigMap({ namespace, body: configMap("b") });
  const all = await watched(path, query, 3);
  assert.deepEqual(all.map(({ type, object }) => `${type} ${object.metadata.name}`), ["ADDED a", "DELETED a", "ADDED b"]);
  const rest = await watched(path, { ...query, resourceVersion: all[0].object.metadata.resourceVersion }, 2);
  assert.deepEqual(rest, all.slice(1));
  const streamed = { sendInitialEvents: true, resourceVersionMatch: "NotOlderThan", allowWatchBookmarks: true };
  const [added, bookmark] = await watched(path, { ...streamed, labelSelector: "own" }, 2);
  assert.deepEqual([added.type, added.object.metadata.name, bookmark.type], ["ADDED", "b", "BOOKMARK"]);
  assert.equal(bookmark.object.metadata.annotations["k8s.io/initial-events-end"], "true");
});

story("an informer follows, also through a reconnection", async (namespace) => {
  const list = () => core.listNamespacedConfigMap({ namespace, labelSelector: "own" });
  const informer = k8s.makeInformer(config, `/api/v1/namespaces/${namespace}/configmaps`, list, "own");
  const seen = new Seen();
  for (const verb of ["add", "update", "delete"]) {
    informer.on(verb, (object) => seen.add(`${verb} ${object.metadata.name}`));
  }
  informer.on("error", (error) => seen.add(`error ${error}`));
  await core.createNamespacedConfigMap({ namespace, body: configMap("a") });
  await informer.start();
  await seen.until("add a");
  await core.createNamespacedConfigMap({ namespace, body: configMap("b") });
  await seen.until("add b");
  await informer.stop();
  const body = { metadata: { name: "b", labels: { own: "" } }, data: { x: "1" } };
  await core.replaceNamespacedConfigMap({ namespace, name: "b", body });
  await core.deleteNamespacedConfigMap({ namespace, name: "a" });
  await informer.start();
  await Promise.all([seen.until("update b"), seen.until("delete a")]);
  assert.deepEqual(informer.list().map((each) => each.metadata.name), ["b"]);
  await informer.stop();
});

story("one holder at a time takes a lease", async (namespace) => {
  const spec = { holderIdentity: "one", leaseDurationSeconds: 15, renewTime: new k8s.V1MicroTime() };
  const lease = await leases.createNamespacedLease({ namespace, body: { metadata: { name: "lead" }, spec } });
  assert.match(JSON.stringify(lease.spec.renewTime), /\.\d{6}Z"$/);
  const take = (holderIdentity) => {
    const body = { ...lease, spec: { ...lease.spec, holderIdentity, leaseTransitions: 1 } };
    return leases.replaceNamespacedLease({ namespace, name: "lead", body });
  };
  const outcomes = await Promise.allSettled([take("two"), take("three")]);
  const lost = outcomes.filter((each) => each.status === "rejected");
  assert.deepEqual(lost.map((each) => each.reason.code), [409]);
  const held = await leases.readNamespacedLease({ namespace, name: "lead" });
  assert.ok(["two", "three"].includes(held.spec.holderIdentity));
});

story("a collection is deleted by selector, and errors say what upstream says", async (namespace) => {
  for (const name of ["a", "b"]) await core.createNamespacedConfigMap({ namespace, body: configMap(name) });
  await core.deleteCollectionNamespacedConfigMap({ namespace, labelSelector: "own" });
  const left = await core.listNamespacedConfigMap({ namespace, labelSelector: "own" });
  assert.equal(left.items.length, 0);
  const missing = await refused(404, core.readNamespacedConfigMap({ namespace, name: "a" }));
  assert.equal(missing.message, 'configmaps "a" not found');
  const invalid = await refused(422, core.createNamespacedConfigMap({ namespace, body: configMap("Not A Name") }));
  assert.equal(invalid.details.causes[0].field, "metadata.name");
  const unknown = objects.create({ apiVersion: "shop.example/v1", kind: "Ship", metadata: { name: "a" } });
  await assert.rejects(unknown, /404|Unrecognized API version/);
});
