#!/usr/bin/env bash
# Runs a real Apache Kafka, one KRaft node on a loopback port, without a container engine: Maven fetches the broker's jars,
# java (17 or later) runs them.
#
#   run-kafka.sh start  [--port N] [--dir D]        start it and wait until it answers
#   run-kafka.sh status [--dir D]                   print its address, or fail
#   run-kafka.sh stop   [--dir D]                   stop it; its data stays in D
#   run-kafka.sh exec   [--port N] [--secure …] -- command …     start one with a fresh directory, run command with KAFKA_BROKERS
#                                                   set, stop it, and exit as the command did. If KAFKA_BROKERS is
#                                                   set already, only run the command
#
# --secure "USER …" has it speak TLS only, to users with a password (SCRAM-SHA-512), who may do what ACLs say and nothing else; "admin"
# may do everything. D/secrets has ca.crt and a file with each user's password; exec names the folder in KAFKA_SECRETS. Needs
# openssl.
#
# --port defaults to 19092, for exec to one that is free; the controller listens on the next one. --dir defaults to .build/kafka in
# the repository; the jars are kept in .build/kafka-jars. KAFKA_HEAP sets the heap (default 512m).
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)
jars=$root/.build/kafka-jars
port=
dir=$root/.build/kafka
users=

usage() {
	sed -n '2,19s/^# \{0,1\}//p' "${BASH_SOURCE[0]}" >&2
	exit 2
}

fail() {
	echo "run-kafka: $*" >&2
	exit 1
}

# fetch puts the jars into $jars, once per version of the pom.
fetch() {
	cmp -s "$here/pom.xml" "$jars/pom.xml" && return
	command -v mvn >/dev/null || fail "mvn is missing; install Maven"
	echo "run-kafka: fetching Apache Kafka" >&2
	rm -rf "$jars"
	for wait in 5 20 60 0; do # a repository is away for a moment now and then
		mvn -q -B -f "$here/pom.xml" dependency:copy-dependencies -DoutputDirectory="$jars" >&2 && break
		[[ $wait != 0 ]] || fail "Maven could not fetch the jars"
		sleep "$wait"
	done
	cp "$here/pom.xml" "$jars/pom.xml"
}

# free_port sets port to one that is free now, as is the next: below the range that outgoing connections take theirs from.
free_port() {
	port=$((10000 + RANDOM % 9000 * 2))
	while answers "$port" || answers $((port + 1)); do port=$((port + 2)); done
}

# configure writes the node's settings: fast group joins, small internal topics, nothing created by accident.
configure() {
	mkdir -p "$dir"
	cat >"$dir/server.properties" <<-CONFIG
		process.roles=broker,controller
		node.id=1
		controller.quorum.voters=1@127.0.0.1:$((port + 1))
		listeners=PLAINTEXT://127.0.0.1:$port,CONTROLLER://127.0.0.1:$((port + 1))
		advertised.listeners=PLAINTEXT://127.0.0.1:$port
		listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
		controller.listener.names=CONTROLLER
		log.dirs=$dir/data
		auto.create.topics.enable=false
		num.partitions=6
		offsets.topic.num.partitions=4
		offsets.topic.replication.factor=1
		transaction.state.log.num.partitions=4
		transaction.state.log.replication.factor=1
		transaction.state.log.min.isr=1
		share.coordinator.state.topic.replication.factor=1
		share.coordinator.state.topic.min.isr=1
		group.initial.rebalance.delay.ms=0
	CONFIG
}

# secure adds what only a secured node has, and makes its certificate and passwords.
secure() {
	local user secrets=$dir/secrets
	command -v openssl >/dev/null || fail "openssl is missing"
	mkdir -p "$secrets"
	if [[ ! -f $secrets/ca.crt ]]; then
		{
			openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 30 -subj /CN=throughline-test-ca \
				-keyout "$secrets/ca.key" -out "$secrets/ca.crt"
			openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=127.0.0.1 \
				-keyout "$secrets/node.key" -out "$secrets/node.csr"
			openssl x509 -req -in "$secrets/node.csr" -CA "$secrets/ca.crt" -CAkey "$secrets/ca.key" -CAcreateserial -days 30 \
				-extfile <(echo "subjectAltName=IP:127.0.0.1") -out "$secrets/node.crt"
		} 2>"$dir/openssl.log" || {
			cat "$dir/openssl.log" >&2
			fail "could not make certificates"
		}
		cat "$secrets/node.key" "$secrets/node.crt" >"$secrets/node.pem"
	fi
	for user in admin $users; do
		[[ -f $secrets/$user ]] || openssl rand -hex 16 >"$secrets/$user"
	done
	sed -i "s/PLAINTEXT:\/\/127.0.0.1:$port/SASL_SSL:\/\/127.0.0.1:$port/; s/PLAINTEXT:PLAINTEXT/SASL_SSL:SASL_SSL/" "$dir/server.properties"
	cat >>"$dir/server.properties" <<-CONFIG
		inter.broker.listener.name=SASL_SSL
		sasl.enabled.mechanisms=SCRAM-SHA-512
		sasl.mechanism.inter.broker.protocol=SCRAM-SHA-512
		listener.name.sasl_ssl.scram-sha-512.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required username="admin" password="$(cat "$secrets/admin")";
		ssl.keystore.type=PEM
		ssl.keystore.location=$secrets/node.pem
		ssl.truststore.type=PEM
		ssl.truststore.location=$secrets/ca.crt
		authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
		super.users=User:admin;User:ANONYMOUS
	CONFIG
}

# scram prints what makes the users known when the storage is formatted.
scram() {
	local user
	[[ -n $users ]] || return 0
	for user in admin $users; do
		printf -- '--add-scram\nSCRAM-SHA-512=[name=%s,password=%s]\n' "$user" "$(cat "$dir/secrets/$user")"
	done
}

# kafka becomes a java that runs one of Kafka's classes: call it in a subshell. What it says at "info" is only that it has
# started, which start waits for.
kafka() {
	exec java -Xmx"${KAFKA_HEAP:-512m}" -XX:+UseG1GC \
		-Dorg.slf4j.simpleLogger.defaultLogLevel=warn -Dorg.slf4j.simpleLogger.showDateTime=true \
		-Dorg.slf4j.simpleLogger.log.kafka.server.KafkaRaftServer=info \
		-cp "$jars/*" "$@"
}

running() { [[ -f $dir/pid ]] && kill -0 "$(cat "$dir/pid")" 2>/dev/null; }

# address reads the port of the node in $dir.
address() { sed -n 's|^advertised.listeners=[A-Z_]*://||p' "$dir/server.properties"; }

# answers reports whether something listens at a port.
answers() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

start() {
	running && fail "already running in $dir at $(address)"
	fetch
	[[ -n $port ]] || free_port
	answers "$port" && fail "port $port is taken; choose another with --port"
	configure
	[[ -z $users ]] || secure
	local known
	mapfile -t known < <(scram)
	if [[ ! -f $dir/data/meta.properties ]]; then
		(kafka kafka.tools.StorageTool format --cluster-id throughline-test-cluster1 \
			--config "$dir/server.properties" "${known[@]}") >"$dir/format.log" 2>&1 || {
			cat "$dir/format.log" >&2
			fail "could not format $dir/data"
		}
	fi
	(kafka kafka.Kafka "$dir/server.properties") >"$dir/kafka.log" 2>&1 &
	echo $! >"$dir/pid"
	for _ in $(seq 600); do
		if ! running; then
			tail -20 "$dir/kafka.log" >&2
			fail "the broker ended; its log is $dir/kafka.log"
		fi
		if grep -q "Kafka Server started" "$dir/kafka.log" && answers "$port"; then
			echo "run-kafka: ready at 127.0.0.1:$port" >&2
			return
		fi
		sleep 0.5
	done
	fail "the broker did not answer within five minutes; its log is $dir/kafka.log"
}

stop() {
	running || return 0
	local pid
	pid=$(cat "$dir/pid")
	kill "$pid" 2>/dev/null || true
	for _ in $(seq 120); do
		kill -0 "$pid" 2>/dev/null || break
		sleep 0.25
	done
	kill -9 "$pid" 2>/dev/null || true
	rm -f "$dir/pid"
}

status() {
	running || fail "not running in $dir"
	address
}

[[ $# -ge 1 ]] || usage
verb=$1
shift
given_dir=
while [[ $# -gt 0 ]]; do
	case $1 in
	--port) port=${2:?--port needs a number} && shift 2 ;;
	--secure) users=${2:?--secure needs users} && shift 2 ;;
	--dir) dir=${2:?--dir needs a path} && given_dir=1 && shift 2 ;;
	--) shift && break ;;
	-*) usage ;;
	*) break ;;
	esac
done

case $verb in
start) port=${port:-19092} && start ;;
stop) stop ;;
status) status ;;
exec)
	[[ $# -ge 1 ]] || usage
	[[ -z ${KAFKA_BROKERS:-} ]] || exec "$@"
	[[ -n $given_dir ]] || dir=$(mktemp -d)
	trap 'stop; [[ -n $given_dir ]] || rm -rf "$dir"' EXIT
	start
	[[ -z $users ]] || export KAFKA_SECRETS=$dir/secrets
	KAFKA_BROKERS=127.0.0.1:$port "$@"
	;;
*) usage ;;
esac
