// The agent's page: what /v1 says, kept current by blocking queries. It only reads.
// Text from the catalogue is never made into markup.
"use strict";

const $ = (id) => document.getElementById(id);
const ORDER = ["passing", "warning", "critical", "maintenance"];

// ---- Elements ---------------------------------------------------------------

function element(name, attributes, ...children) {
  const e = document.createElement(name);
  for (const [key, value] of Object.entries(attributes || {})) {
    e.setAttribute(key, value);
  }
  e.append(...children.flat(Infinity).filter((c) => c !== null && c !== undefined));
  return e;
}

const link = (to, text) => element("a", {href: to}, text);
const serviceLink = (name) => link("#/service/" + encodeURIComponent(name), name);
const nodeLink = (name) => link("#/node/" + encodeURIComponent(name), name);
const tags = (list) => list.map((t) => element("span", {class: "tag"}, t));
const statusOf = (word) => element("span", {class: "status " + word}, word);

// head: names of columns; those that end in "#" hold numbers.
function table(head, rows) {
  if (rows.length === 0) {
    return element("p", {class: "empty"}, "Nothing here.");
  }
  const number = head.map((h) => h.endsWith("#") ? {class: "number"} : {});
  return element("table", {},
    element("thead", {}, element("tr", {}, head.map((h, i) =>
      element("th", {scope: "col", ...number[i]}, h.replace("#", ""))))),
    element("tbody", {}, rows.map((row) => element("tr", {}, row.map((cell, i) =>
      element("td", number[i], cell))))));
}

function pairs(object) {
  const entries = Object.entries(object).filter(([, v]) => v !== "");
  return entries.length === 0 ? null : element("dl", {}, entries.map(([k, v]) =>
    [element("dt", {}, k), element("dd", {}, v instanceof Node ? v : String(v))]));
}

// ---- Health -----------------------------------------------------------------

function checkStatus(check) {
  const maintenance = check.CheckID === "_node_maintenance" ||
    check.CheckID.startsWith("_service_maintenance:");
  return maintenance ? "maintenance" : check.Status;
}

const worst = (checks) => checks.map(checkStatus).reduce((a, b) =>
  ORDER.indexOf(b) > ORDER.indexOf(a) ? b : a, "passing");

function counted(statuses) {
  return ORDER.filter((s) => statuses.includes(s)).map((s) => {
    const count = statuses.filter((t) => t === s).length;
    return [element("span", {class: "status " + s}, count + " " + s), " "];
  });
}

const checksTable = (checks) => table(["Status", "Check", "Output"],
  checks.map((c) => [statusOf(checkStatus(c)),
    [c.Name, element("div", {class: "empty"}, c.CheckID + (c.Type ? ", " + c.Type : ""))],
    element("pre", {}, c.Output || c.Notes)]));

// ---- Views ------------------------------------------------------------------
// Each has a title, the paths that it needs, and a function from their documents
// and the filter's text to elements.

function servicesView([services, checks], filter) {
  const byService = new Map();
  for (const c of checks.filter((c) => c.ServiceName)) {
    byService.set(c.ServiceName, [...byService.get(c.ServiceName) || [], c]);
  }
  const names = Object.keys(services).sort().filter((n) =>
    [n, ...services[n]].some((t) => t.toLowerCase().includes(filter)));
  return table(["Service", "Checks", "Tags"], names.map((n) => [
    serviceLink(n), counted((byService.get(n) || []).map(checkStatus)),
    tags(services[n])]));
}

function serviceView([instances], filter) {
  const shown = instances.filter((i) => [i.Service.ID, i.Node.Node, ...i.Service.Tags]
    .some((t) => t.toLowerCase().includes(filter)));
  return [
    element("p", {}, counted(shown.map((i) => worst(i.Checks)))),
    table(["Status", "Instance", "Host", "Address", "Port#", "Tags"],
      shown.map((i) => [statusOf(worst(i.Checks)), i.Service.ID, nodeLink(i.Node.Node),
        i.Service.Address || i.Node.Address, String(i.Service.Port),
        tags(i.Service.Tags)])),
    shown.map((i) => [
      element("h2", {}, i.Service.ID + " on " + i.Node.Node),
      pairs(i.Service.Meta), checksTable(i.Checks)]),
  ];
}

function nodesView([nodes, checks], filter) {
  const shown = nodes.filter((n) => [n.Node, n.Address].some((t) =>
    t.toLowerCase().includes(filter)));
  return table(["Status", "Host", "Address", "Meta"], shown.map((n) => [
    statusOf(worst(checks.filter((c) => c.Node === n.Node && !c.ServiceID))),
    nodeLink(n.Node), n.Address,
    tags(Object.entries(n.Meta).map(([k, v]) => k + "=" + v))]));
}

function nodeView([node, checks], filter) {
  if (node === null) {
    return element("p", {class: "empty"}, "There is no host of this name.");
  }
  const services = Object.values(node.Services).filter((s) =>
    [s.Service, s.ID, ...s.Tags].some((t) => t.toLowerCase().includes(filter)));
  return [
    pairs({Address: node.Node.Address, Id: node.Node.ID, ...node.Node.Meta}),
    element("h2", {}, "Services"),
    table(["Status", "Service", "Instance", "Address", "Port#", "Tags"],
      services.map((s) => [
        statusOf(worst(checks.filter((c) => !c.ServiceID || c.ServiceID === s.ID))),
        serviceLink(s.Service), s.ID, s.Address || node.Node.Address, String(s.Port),
        tags(s.Tags)])),
    element("h2", {}, "Checks"), checksTable(checks)];
}

function checksView([checks], filter) {
  const shown = checks.filter((c) => c.Status !== "passing" &&
    [c.Name, c.Node, c.ServiceName].some((t) => t.toLowerCase().includes(filter)));
  return table(["Status", "Check", "Service", "Host", "Output"], shown.map((c) => [
    statusOf(checkStatus(c)), c.Name, c.ServiceName ? serviceLink(c.ServiceName) : "",
    nodeLink(c.Node), element("pre", {}, c.Output || c.Notes)]));
}

function chooseView(hash) {
  const [, part, name] = hash.split("/").map(decodeURIComponent);
  const of = (path) => path + encodeURIComponent(name);
  switch (name ? part + "/" : part) {
  case "service/":
    return {title: name, paths: [of("/v1/health/service/")], show: serviceView};
  case "nodes":
    return {title: "Hosts", show: nodesView,
      paths: ["/v1/catalog/nodes", "/v1/health/state/any"]};
  case "node/":
    return {title: name, show: nodeView,
      paths: [of("/v1/catalog/node/"), of("/v1/health/node/")]};
  case "checks":
    return {title: "Failing checks", paths: ["/v1/health/state/any"], show: checksView};
  default:
    return {title: "Services", show: servicesView,
      paths: ["/v1/catalog/services", "/v1/health/state/any"]};
  }
}

// ---- Asking the agent -------------------------------------------------------

class Refused extends Error {}

async function get(path, index, signal) {
  const token = sessionStorage.getItem("token");
  const answer = await fetch(path + "?wait=55s&index=" + index,
    {signal, headers: token ? {"X-Consul-Token": token} : {}});
  if (answer.status === 401 || answer.status === 403) {
    throw new Refused(await answer.text());
  }
  if (!answer.ok) {
    throw new Error(path + ": " + answer.status + " " + await answer.text());
  }
  showContact(answer.headers);
  return {index: answer.headers.get("X-Consul-Index") || "0",
    document: await answer.json()};
}

function showContact(headers) {
  const lost = headers.get("X-Consul-KnownLeader") === "false";
  const seconds = Math.round(Number(headers.get("X-Consul-LastContact")) / 1000);
  $("contact").className = lost ? "lost" : "";
  $("contact").textContent = lost
    ? "out of contact with the store; as it was " + seconds + " s ago" : "current";
}

function showProblem(problem) {
  $("login").hidden = !(problem instanceof Refused);
  $("problem").hidden = !problem;
  $("problem").textContent = problem ? problem.message : "";
}

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
let present = null; // The view that is shown, its documents, and how to end it.

function draw() {
  if (present.documents.every((d) => d !== undefined)) {
    $("content").replaceChildren(...[present.view.show(present.documents,
      $("search").value.trim().toLowerCase())].flat(Infinity)
      .filter((e) => e !== null));
  }
}

// One document of a view, again whenever it has changed.
async function follow(mine, i) {
  let index = "0";
  while (present === mine) {
    try {
      const got = await get(mine.view.paths[i], index, mine.abort.signal);
      if (present !== mine) {
        return;
      }
      showProblem(null);
      if (got.index !== index || mine.documents[i] === undefined) {
        mine.documents[i] = got.document;
        draw();
      }
      // A lower index: the store was replaced.
      index = Number(got.index) < Number(index) ? "0" : got.index;
    } catch (problem) {
      if (present !== mine) {
        return;
      }
      showProblem(problem);
      if (problem instanceof Refused) {
        return;
      }
      await pause(2000);
    }
  }
}

function show() {
  if (present) {
    present.abort.abort();
  }
  const view = chooseView(location.hash);
  const mine = {view, documents: view.paths.map(() => undefined),
    abort: new AbortController()};
  present = mine;
  $("title").textContent = view.title;
  document.title = view.title + " - muster";
  $("content").replaceChildren(element("p", {class: "empty"}, "Asking the agent..."));
  for (const a of document.querySelectorAll("nav a")) {
    if (a.getAttribute("href") === location.hash) {
      a.setAttribute("aria-current", "page");
    } else {
      a.removeAttribute("aria-current");
    }
  }
  view.paths.forEach((_, i) => follow(mine, i));
}

// ---- Start ------------------------------------------------------------------

window.addEventListener("hashchange", () => {
  $("search").value = "";
  show();
  $("title").focus();
});
$("search").addEventListener("input", draw);
document.addEventListener("keydown", (e) => {
  if (e.key === "/" && e.target.tagName !== "INPUT") {
    e.preventDefault();
    $("search").focus();
  }
});
$("login").addEventListener("submit", (e) => {
  e.preventDefault();
  sessionStorage.setItem("token", $("token").value);
  $("token").value = "";
  show();
});
fetch("/v1/agent/self").then((a) => a.ok ? a.json() : null).then((self) => {
  $("where").textContent = self
    ? self.Config.NodeName + ", " + self.Config.Datacenter : "";
}).catch(() => {});
if (!location.hash) {
  location.replace("#/services");
}
show();
