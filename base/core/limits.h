/*
 * limits.h - every maximum, and why it is what it is.
 *
 * A length, count or depth that comes from outside is compared with one of
 * these before it is used.
 */
#pragma once

/* Store, as etcd: clients rely on them. */
#define LIMIT_REQUEST_BYTES       (1536UL * 1024) /* --max-request-bytes */
#define LIMIT_GRPC_OVERHEAD       (512UL * 1024) /* Above it: refused unread. */
#define LIMIT_TXN_OPS             128            /* --max-txn-ops */
#define LIMIT_TXN_OPS_MAX         10000          /* It may be raised to this. */
#define LIMIT_REQUEST_MAX         (32UL * 1024 * 1024) /* The same. */
#define LIMIT_LEASE_TTL_S         9000000000LL
#define LIMIT_STREAM_WATCHES      100000 /* Of one Watch stream. */
#define LIMIT_API_PARKED          5000   /* Requests that wait for a leader. */
#define LIMIT_PB_DEPTH            64   /* Nested messages; decoders recurse. */
#define LIMIT_TXN_OPS_TOTAL       8192 /* Of all levels; checks are quadratic. */
#define LIMIT_TXN_DEPTH           256  /* Transactions in transactions. */
#define LIMIT_WATCH_BACKLOG       1024 /* Events; then the watcher is "slow". */
#define LIMIT_WATCH_BACKLOG_BYTES (1024UL * 1024) /* The same in bytes. */

/* Rows of the store kept in memory beside the tables' own cache. */
#define LIMIT_ROWS_BYTES (32UL * 1024 * 1024)

/* Connections. */
#define LIMIT_CONNS        10000 /* A listener; then accept pauses. */
#define LIMIT_OWN_FILES    64    /* Descriptors that clients do not get. */
#define LIMIT_H2_STREAMS   1000  /* A connection. */
#define LIMIT_HEADER_BYTES (64UL * 1024) /* A request's header list. */
#define LIMIT_HEADER_COUNT 128
#define LIMIT_URL_BYTES    8192
#define LIMIT_HTTP_BODY    (1536UL * 1024) /* A registration, a JSON call. */
#define LIMIT_HTTP_BODIES  (64UL * 1024 * 1024) /* Held at once, by all. */
#define LIMIT_CONN_OUT_BYTES                        \
    (64 * 1024 * 1024) /* Queued for a slow reader. \
                        */
#define LIMIT_GRPC_PARTIAL \
    (256 * 1024 * 1024) /* A listener's unfinished messages. */

/* Log files. */
#define LIMIT_WAL_RECORD ((size_t)64 * 1024 * 1024)

/* Agent. */
#define LIMIT_DEFINITION_BYTES (1024UL * 1024) /* A sidecar file. */
#define LIMIT_SERVICE_NAME     128
#define LIMIT_TAGS             256
#define LIMIT_META_PAIRS       64
#define LIMIT_META_KEY         128
#define LIMIT_META_VALUE       512
#define LIMIT_CHECKS_OF_ONE    64             /* Checks of one service. */
#define LIMIT_CHECK_OUTPUT     4096           /* Bytes kept of a result. */
#define LIMIT_TOMBSTONES       4096           /* Gone names, with index. */
#define LIMIT_TRANSITIONS      1024           /* Changes of status kept. */
#define LIMIT_RECORD_BYTES     (256UL * 1024) /* A catalogue record. */
#define LIMIT_UNREAD_RECORDS   4096 /* Keys of what is none, remembered. */

/* What a request may ask for. */
#define LIMIT_FILTER_BYTES   4096 /* ?filter= */
#define LIMIT_FILTER_MATCHES 128  /* Comparisons in it. */
#define LIMIT_FILTER_DEPTH   64   /* Operators and parentheses open at once. */
#define LIMIT_REGEX_BYTES    512  /* As Consul's clients expect. */
#define LIMIT_REGEX_STEPS    2048 /* With repetitions written out. */
/* States looked at, some 10 ns each, while all other requests wait: for a
 * request, and more for each element, whose JSON takes as long. */
#define LIMIT_FILTER_WORK      2000000ULL
#define LIMIT_FILTER_WORK_EACH 500
#define LIMIT_ACL_POLICY_BYTES (64UL * 1024) /* A policy's rules as text. */
#define LIMIT_ACL_RULES        1024          /* Of one policy. */
#define LIMIT_ACL_NAME         1024          /* A name or prefix in a rule. */
#define LIMIT_ACL_SECRET       256           /* A token as it is sent. */
#define LIMIT_ACL_LINKS        32            /* Policies of one token. */
#define LIMIT_ACL_TOKENS       16384         /* Of the store; more: refused. */
#define LIMIT_ACL_POLICIES     4096          /* The same. */
#define LIMIT_ACL_GROUPS       32            /* Groups of a socket's peer. */

/* Prepared queries. */
#define LIMIT_QUERIES          4096  /* Of a datacenter; more: refused. */
#define LIMIT_QUERY_LIST       256   /* Datacenters, ids of checks. */
#define LIMIT_QUERY_TEXT       1024  /* A text of a template, filled in. */
#define LIMIT_QUERY_STEPS      512   /* Of a template's regular expression. */
#define LIMIT_QUERY_WORK       50000 /* States looked at, for one name. */

#define LIMIT_DEFINITION_FILES 4096 /* In the services folder. */
#define LIMIT_PROBES           8192 /* Checks running at the same time... */
#define LIMIT_PROBE_PROGRAMS   64   /* ...and of these, programs. */
#define LIMIT_PROBE_LOOKUPS    2 /* Names looked up; a thread is bound by one. */
#define LIMIT_PROBE_NAMES      1024  /* Names whose addresses are kept. */
#define LIMIT_PROBE_TLS        64    /* Ways to trust a server that are kept. */
#define LIMIT_UNIX_PATH        107   /* sockaddr_un has a NUL behind it. */
#define LIMIT_OPEN_FILES       65536 /* What we raise our own limit to. */
#define LIMIT_CONFIG_FILES     64    /* --config, repeated. */
#define LIMIT_CONFIG_BYTES     (1024UL * 1024)
#define LIMIT_DATACENTERS      16 /* That an agent follows beside its own. */
#define LIMIT_STORE_ENDPOINTS  16
#define LIMIT_STORE_MEMBERS    16   /* Shown by /v1/status/peers. */
#define LIMIT_STORE_PAGE       1000 /* Keys in one answer of a full read. */
#define LIMIT_STORE_FOLLOWS    4096 /* Ranges waited for. */
#define LIMIT_STORE_ANSWER     (64UL * 1024 * 1024) /* To one request. */
#define LIMIT_STORE_REQUEST    (4UL * 1024 * 1024) /* Above etcd's own limit. */
#define LIMIT_STATE_BYTES      ((size_t)256 * 1024 * 1024) /* state.mdb */
#define LIMIT_REPLICA_BYTES    ((size_t)4 * 1024 * 1024 * 1024)
#define LIMIT_REPLICA_BACKLOG  (64UL * 1024 * 1024) /* While the disk hangs. */

/* DNS. */
#define LIMIT_DNS_UDP           1232 /* What we advertise; no fragments. */
#define LIMIT_DNS_TCP           65535
#define LIMIT_DNS_LISTENS       16 /* Addresses to listen on, each way. */
#define LIMIT_DNS_CNAMES        3  /* Host names followed within our domains. */
#define LIMIT_DNS_AREAS         1024 /* Values of the node meta "zone". */
#define LIMIT_DNS_HOSTS         16   /* SRV targets looked up for one answer. */
#define LIMIT_DNS_FORWARDS      1024 /* Questions under way upstream. */
#define LIMIT_DNS_WAITING       4096 /* Clients' queries that wait for upstream. */
#define LIMIT_DNS_CHAIN         16    /* CNAMEs in an answer of upstream. */
#define LIMIT_DNS_REPLY_RECORDS 2048  /* The same: all records. */
#define LIMIT_DNS_REPLY_EXTRAS  64    /* Of its additional section. */
#define LIMIT_DNS_INSTANCES     16384 /* Of a service; no message holds more. */
#define LIMIT_DNS_TRANSFERS     16    /* Zone transfers at the same time. */
#define LIMIT_DNS_JOURNAL_BYTES \
    (4UL * 1024 * 1024)                /* Differences kept, a zone. */
#define LIMIT_DNS_JOURNAL_STEPS   1024 /* The same, in serials. */
#define LIMIT_DNS_TSIG_KEYS       32
#define LIMIT_DNS_TSIG_SECRET     256 /* Bytes of a key. */
#define LIMIT_DNS_TRANSFER_RULES  64  /* Who may transfer. */
#define LIMIT_DNS_TRANSFER_NOTIFY 32  /* Secondaries told of changes. */
