# nginx with `resolver`: a proxy follows a service from address to address, takes
# all of several, and gives 502 for one that is gone until it is back.
. "$(dirname "$0")/lib.sh"

agent_start one --dev --store-listen 127.0.0.1:0
BACK=$(free_port)
FRONT=$(free_port)
cat >"$SCRATCH/nginx.conf" <<CONF
daemon off;
master_process off;
error_log $SCRATCH/nginx.log;
pid $SCRATCH/nginx.pid;
events {}
http {
    access_log off;
    client_body_temp_path $SCRATCH/body;
    proxy_temp_path $SCRATCH/proxy;
    fastcgi_temp_path $SCRATCH/fastcgi;
    uwsgi_temp_path $SCRATCH/uwsgi;
    scgi_temp_path $SCRATCH/scgi;
    resolver 127.0.0.1:$AGENT_DNS valid=1s ipv6=on;
    resolver_timeout 5s;
    server { listen 127.0.0.2:$BACK; return 200 "two\n"; }
    server { listen 127.0.0.3:$BACK; return 200 "three\n"; }
    server { listen 127.0.0.4:$BACK; return 200 "four\n"; }
    server {
        listen 127.0.0.1:$FRONT;
        location / {
            set \$name web.service.consul;
            proxy_pass http://\$name:$BACK;
        }
    }
}
CONF
serves() { # ADDRESS...
    local i=0 address comma=""
    {
        printf '{"services": ['
        for address in "$@"; do
            i=$((i + 1))
            printf '%s{"name": "web", "id": "web-%d", "port": %d, "address": "%s"}' \
                "$comma" "$i" "$BACK" "$address"
            comma=,
        done
        printf ']}\n'
    } >"$SCRATCH/web.json"
    mv "$SCRATCH/web.json" "$AGENT_SERVICES/web.json"
}
front() {
    curl -s --max-time 10 "http://127.0.0.1:$FRONT/"
}
front_is() {
    [ "$(front)" = "$1" ]
}
code_is() {
    [ "$(curl -s -o /dev/null -w '%{http_code}' "http://127.0.0.1:$FRONT/")" = "$1" ]
}
seen_both() {
    front >>"$SCRATCH/seen"
    [ "$(tail -n 20 "$SCRATCH/seen" | sort -u | tr '\n' ' ')" = "four three " ]
}

serves 127.0.0.2
wait_until 10 "the service" answers 127.0.0.2 web.service.consul
spawn nginx nginx -c "$SCRATCH/nginx.conf"
soon 10 "nginx finds the service" front_is two
serves 127.0.0.3
soon 10 "and follows it to another address" front_is three
serves 127.0.0.3 127.0.0.4
soon 20 "uses all of its addresses" seen_both
serves
soon 10 "a service that is gone is a bad gateway" code_is 502
serves 127.0.0.2
soon 10 "and is found again when it is back" front_is two
done_testing
