#!/usr/bin/env bash
# A real TimescaleDB and a real Redis on loopback ports: no root needed, nothing installed on the system.
#   timescale_up.sh up   DATA_DIR [PG_PORT] [REDIS_PORT]   start both (again: a no-op), print their URLs
#   timescale_up.sh urls DATA_DIR                          print the URLs of those that run
#   timescale_up.sh down DATA_DIR [--purge]                stop both (and delete the data)
# TICKSTOCKPL_TEST_PG_CONF and TICKSTOCKPL_TEST_REDIS_CONF: lines of postgresql.conf, options of redis-server.
# A port that is not given, or empty, is a free one; a port `-` means: not this server.
# Debian 12 has no TimescaleDB but Debian 13 has. Its signed packages are taken from this machine's own
# mirror, unpacked into a private folder and run on the C library that came with them.
set -euo pipefail
SUITE=trixie PGV=17
PKGS=("postgresql-$PGV" "postgresql-$PGV-timescaledb" "postgresql-client-$PGV" libpq5 redis-tools
 libc6 libgcc-s1 libstdc++6 libatomic1 libjemalloc2 liblzf1 libicu76 libssl3t64 libxml2 liblzma5 zlib1g
 libzstd1 liblz4-1 libgssapi-krb5-2 libkrb5-3 libk5crypto3 libkrb5support0 libcom-err2 libkeyutils1
 libldap2 libsasl2-2 libpam0g libaudit1 libcap-ng0 libcap2 libselinux1 libpcre2-8-0 libsystemd0 libuuid1
 libreadline8t64 libtinfo6 libxxhash0)
CONF="listen_addresses = '127.0.0.1'
unix_socket_directories = ''
shared_preload_libraries = 'timescaledb'
timescaledb.telemetry_level = off
timezone = 'UTC'
jit = off                       # LLVM is left out of the private folder
max_locks_per_transaction = 256 # a transaction over a hypertable locks every chunk it touches
${TICKSTOCKPL_TEST_PG_CONF:-fsync = off}"
usage() { sed -n '2,7s/^# *//p' "$0"; }
case ${1:-} in -h|--help) usage; exit ;; esac
[ $# -ge 2 ] || { usage >&2; exit 2; }
case $1 in up|urls|down) ;; *) echo "timescale_up.sh: up, urls or down DATA_DIR, not $1" >&2; exit 2 ;; esac
for word in "${@:3}"; do
  case $1$word in up|up-|down--purge) ;; up*[!0-9]*|urls*|down*) echo "timescale_up.sh: $1 does not take $word" >&2; exit 2 ;; esac
done

RUN=(env) BASE=${XDG_CACHE_HOME:-${HOME:-/tmp}/.cache}/tickstockpl DATA=$(realpath -m "$2")
if [ "$(id -u)" = 0 ]; then # PostgreSQL refuses to run as root
  RUN=(setpriv --reuid=nobody --regid=nogroup --clear-groups env HOME=/) BASE=/var/cache/tickstockpl
  up_to=$DATA; while [ ! -d "$up_to" ]; do up_to=$(dirname "$up_to"); done
  (cd / && "${RUN[@]}" test -x "$up_to") || DATA=/var/tmp/tickstockpl/$(echo "$DATA" | cksum | cut -d' ' -f1)
fi
BASE=${TICKSTOCKPL_TEST_CACHE:-$BASE}
P=$BASE/$SUITE-$(echo "${PKGS[*]}" | cksum | cut -d' ' -f1) B=usr/lib/postgresql/$PGV/bin

fetch() { # fills $P once; a cut-off try leaves only $P.tmp behind
  local t=$P.tmp uri lib b
  command -v apt-get >/dev/null && [ -r /usr/share/keyrings/debian-archive-keyring.gpg ] || {
    echo "this machine is not a Debian: name a TimescaleDB 2.19 and a Redis of your own with" \
      "TICKSTOCKPL_TEST_DATABASE_URI and TICKSTOCKPL_TEST_REDIS_URL" >&2; exit 1; }
  echo "fetching TimescaleDB and Redis into $P" >&2
  rm -rf "$t" "$P"; mkdir -p "$t"/apt/{lists,cache/archives}/partial "$t/debs"; : >"$t/apt/status"
  . /etc/os-release
  uri=$(apt-get indextargets --format '$(REPO_URI) $(RELEASE)' 'Created-By: Packages' |
    awk -v c="$VERSION_CODENAME" '$2 == c || $2 == "stable" {print $1; exit}')
  { apt-config dump | grep -E '^Acquire::(https?|Check|Retries|Force)' || :; cat <<X # its proxy, say
Dir::Etc::main "/dev/null"; Dir::Etc::parts "/dev/null"; Dir::Etc::sourceparts "/dev/null";
Dir::Etc::preferences "/dev/null"; Dir::Etc::preferencesparts "/dev/null"; Dir::Etc::sourcelist "$t/apt/list";
Dir::State "$t/apt"; Dir::State::status "$t/apt/status"; Dir::Cache "$t/apt/cache";
APT::Sandbox::User ""; Acquire::Languages "none";
X
  } >"$t/apt/conf"
  export APT_CONFIG=$t/apt/conf
  # Debian 13's index bears the signature of Debian 12's archive key too: no key is added
  echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $uri $SUITE main" >"$t/apt/list"
  apt-get -qq update >&2
  (cd "$t/debs" && apt-get -qq download "${PKGS[@]}" >&2)
  for b in "$t"/debs/*.deb; do dpkg-deb -x "$b" "$t"; done
  rm -rf "${t:?}"/{apt,debs,etc,var} "$t"/usr/share/{doc,man,locale} "$t/usr/lib/postgresql/$PGV/lib/bitcode"
  lib=$(cd "$t" && echo usr/lib/*-linux-gnu/ld-linux-*.so.*)
  wrap() { # $1 becomes a script that runs $2 through the private loader; each library must be a private one too
    "$t/$lib" --inhibit-cache --library-path "$t/${lib%/*}" --list "$t/$2" |
      awk -v t="$t/" '/=>/ && index($3, t) != 1 {print "not in the private folder:" $0 >"/dev/stderr"; e = 1} END {exit e}'
    printf '#!/bin/sh\nexec "%s" --inhibit-cache --library-path "%s" --argv0 "$0" "%s" "$@"\n' \
      "$P/$lib" "$P/${lib%/*}" "$P/$2" >"$t/$1"; chmod 755 "$t/$1"
  }
  for b in $B/{postgres,initdb,pg_ctl,psql} usr/bin/redis-cli; do mv "$t/$b" "$t/$b.elf"; wrap "$b" "$b.elf"; done
  wrap usr/bin/redis-server usr/bin/redis-check-rdb # one program, named by argv[0]
  chmod -R a+rX "$t"; mv "$t" "$P"
}
pg() { local c=$1; shift; (cd / && "${RUN[@]}" "$P/$B/$c" "$@"); }
pg_runs() { # the pid file alone may name a zombie, or by now another process
  tr '\0' ' ' 2>/dev/null <"/proc/$(head -1 "$DATA/pg/postmaster.pid" 2>/dev/null)/cmdline" | grep -qF -- "-D $DATA/pg "
}
redis() { "$P/usr/bin/redis-cli" --raw -p "$RPORT" "$@" 2>&1 | tail -1; }
redis_runs() { # this one, not any other on the port
  [ -x "$P/usr/bin/redis-cli" ] && [ -n "$RPORT" ] && [ "$(redis config get dir)" = "$DATA" ]
}
free_port() { "${PYTHON:-python3}" -c 'import socket; s = socket.create_server(("127.0.0.1", 0)); print(s.getsockname()[1])'; }
urls() {
  ! pg_runs || echo "export TICKSTOCKPL_TEST_DATABASE_URI=postgresql://postgres@127.0.0.1:$(sed -n 4p "$DATA/pg/postmaster.pid")/postgres"
  ! redis_runs || echo "export TICKSTOCKPL_TEST_REDIS_URL=redis://127.0.0.1:$RPORT/0"
}
RPORT=$(cat "$DATA/redis.port" 2>/dev/null || :)

start_pg() { # on port $1
  if [ ! -e "$DATA/pg/PG_VERSION" ]; then
    rm -rf "$DATA"/{pg,pg.new}; pg initdb -D "$DATA/pg.new" -U postgres -A trust --locale=C -E UTF8 --no-sync >/dev/null
    echo "$CONF" >>"$DATA/pg.new/postgresql.conf"; mv "$DATA/pg.new" "$DATA/pg"
  fi
  rm -f "$DATA/pg/postmaster.pid"
  pg pg_ctl -D "$DATA/pg" -w -t 60 -s -l "$DATA/pg.log" -o "-p $1" start || { tail -5 "$DATA/pg.log" >&2; exit 1; }
  pg psql -h 127.0.0.1 -p "$1" -U postgres -qXc 'set client_min_messages = error' -c 'create extension if not exists timescaledb'
}
start_redis() { # on port $RPORT
  (cd / && "${RUN[@]}" "$P/usr/bin/redis-server" --port "$RPORT" --bind 127.0.0.1 --dir "$DATA" --save '' \
    ${TICKSTOCKPL_TEST_REDIS_CONF:-} --daemonize yes --pidfile "$DATA/redis.pid" --logfile "$DATA/redis.log") >&2
  for _ in {1..100}; do ! redis_runs || break; sleep 0.05; done
  redis_runs || { tail -5 "$DATA/redis.log" >&2; exit 1; }
  echo "$RPORT" >"$DATA/redis.port"
}

case $1 in
up)
  mkdir -p "$BASE" "$DATA"
  [ -d "$P" ] || (flock 9; [ -d "$P" ] || fetch) 9>"$BASE/.lock"
  [ "$(id -u)" != 0 ] || chown nobody:nogroup "$DATA"
  [ "${3:-}" = - ] || pg_runs || start_pg "${3:-$(free_port)}"
  [ "${4:-}" = - ] || redis_runs || { RPORT=${4:-$(free_port)}; start_redis; }
  urls ;;
urls) urls ;;
*) # down
  ! pg_runs || pg pg_ctl -D "$DATA/pg" -w -s -m fast stop
  ! redis_runs || redis shutdown nosave >&2
  [ "${3:-}" != --purge ] || { rm -rf "$DATA"/{pg,pg.log,redis.{pid,port,log}}; rmdir "$DATA" 2>/dev/null || :; } ;;
esac
