# The web page, in jsdom (npm): shows services, hosts and checks, follows changes,
# and makes no markup of what the catalogue says.
. "$(dirname "$0")/lib.sh"

npm install --prefix "$SCRATCH/npm" --no-audit --no-fund --silent jsdom@22 \
    >"$SCRATCH/npm.log" 2>&1 || bail "npm cannot install jsdom"

agent_start one --dev --store-listen 127.0.0.1:0
register() {
    api /v1/agent/service/register -fX PUT -d "$1"
}
ok "a service" register '{"Name": "billing", "ID": "billing-1", "Port": 9401,
    "Tags": ["v3", "eu"], "Meta": {"team": "pay"},
    "Check": {"TTL": "60s", "Status": "passing"}}'
ok "one that is markup" register '{"Name": "evil", "Port": 1,
    "Tags": ["<img src=x onerror=alert(1)>"], "Meta": {"x": "<b>bold</b>"},
    "Check": {"TTL": "60s", "Notes": "<script>alert(2)</script>"}}'

is "$(api /ui -o "$SCRATCH/out" -w '%{http_code} %{redirect_url}')" \
    "307 http://local/ui/" "the way to the page"
api / -o "$SCRATCH/out" -w '%{http_code}' >"$SCRATCH/code"
is "$(cat "$SCRATCH/code")" 307 "and from the top"
headers=$(api /ui/ -D - -o "$SCRATCH/page")
like "$headers" "^Content-Security-Policy: default-src 'none'" "its policy"
like "$headers" "^Content-Type: text/html" "its type"
is "$(api /ui/nothing -o "$SCRATCH/out" -w '%{http_code}')" 404 "no other file"
for file in app.js style.css icon.svg; do
    api "/ui/$file" >"$SCRATCH/file"
    ok "$file is as it was built" cmp -s "$SCRATCH/file" "$ROOT/agent/ui/$file"
done

cat >"$SCRATCH/npm/page.js" <<'JS'
// Shows the page and prints its text after each line of input: a hash to go to, or
// "/TEXT" for the filter. A line beginning with "?" waits until its text is shown.
const {JSDOM} = require("jsdom");
const base = process.argv[2];

(async () => {
  const dom = await JSDOM.fromURL(base + "/ui/", {
    resources: "usable", runScripts: "dangerously", pretendToBeVisual: true,
    beforeParse(window) {
      window.fetch = (path, options = {}) => fetch(new URL(path, base), {
        headers: options.headers});
      window.AbortController = AbortController;
      window.alert = (text) => console.log("ALERT " + text);
    },
  });
  const {window} = dom;
  const content = () => window.document.getElementById("content");
  const tick = () => new Promise((resolve) => setTimeout(resolve, 20));
  for await (const line of require("readline").createInterface(
    {input: process.stdin})) {
    if (line.startsWith("/")) {
      const search = window.document.getElementById("search");
      search.value = line.slice(1);
      search.dispatchEvent(new window.Event("input"));
    } else if (line.startsWith("#")) {
      window.location.hash = line;
    } else {
      const wanted = line.slice(1);
      const until = Date.now() + 15000;
      while (!content().textContent.includes(wanted) && Date.now() < until) {
        await tick();
      }
      console.log((content().textContent.includes(wanted) ? "shown: " : "not shown: ")
        + wanted);
    }
    console.log("TEXT " + content().textContent.replace(/\s+/g, " "));
    console.log("MARKUP " + content().querySelectorAll("img,script,b").length);
    console.log("TITLE " + window.document.title);
  }
  process.exit(0);
})();
JS

# page LINE...: what the page says after these lines.
page() {
    printf '%s\n' "$@" | timeout 60 node "$SCRATCH/npm/page.js" \
        "http://$AGENT_HTTP" 2>&1
}

out=$(page "?billing")
like "$out" "^shown: billing" "the list of services"
like "$out" "^TEXT .*billing1 passing.*euv3" "with checks and tags"
like "$out" "<img src=x" "text that looks like markup is text"
is "$(echo "$out" | grep MARKUP | sort -u)" "MARKUP 0" "and nothing else"
unlike "$out" "ALERT" "no script of the catalogue runs"
like "$(page "?billing" "/V3")" "^TEXT ServiceChecksTagsbilling[^v]*euv3$" \
    "the filter leaves others out"

out=$(page "#/service/billing" "?billing-1 on one")
like "$out" "^shown: " "one service"
like "$out" "^TEXT .*127.0.0.19401" "with address and port"
like "$out" "teampay" "and meta"
like "$out" "^TITLE billing - muster" "its name is the title"
out=$(page "#/service/evil" "?evil on one")
is "$(echo "$out" | grep MARKUP | sort -u)" "MARKUP 0" "meta and notes are text too"
like "$(page "#/nodes" "?one")" "^TEXT .*passingone127.0.0.1" "the hosts"
like "$(page "#/node/one" "?billing")" "^TEXT .*Services.*billing-1" "one host"
like "$(page "#/checks" "?evil")" "^TEXT .*critical" "what fails"
unlike "$(page "#/checks" "?evil")" "billing" "and only that"
like "$(page "#/service/a%2Fb%20c" "?Nothing here")" "^shown" "a name with a slash"

# Changes are shown without being asked for.
mkfifo "$SCRATCH/lines"
spawn page sh -c 'exec timeout 60 node "$1" "$2" <"$3" >"$4" 2>&1' sh \
    "$SCRATCH/npm/page.js" "http://$AGENT_HTTP" "$SCRATCH/lines" "$SCRATCH/said"
exec 9>"$SCRATCH/lines"
echo "?billing" >&9
said() {
    grep -q "$1" "$SCRATCH/said"
}
wait_until 20 "the page" said "^shown: billing"
ok "a new service" register '{"Name": "late", "Port": 2}'
echo "?late" >&9
soon 20 "is shown" said "^shown: late"
done_testing
