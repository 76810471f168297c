#!/usr/bin/env bash
# Of the official image: each KAFKA_… is a property of the broker (_ is a dot); the directory is formatted once.
set -euo pipefail

properties=/tmp/server.properties
while IFS='=' read -r name value; do
    name=${name#KAFKA_}
    name=${name,,}
    echo "${name//_/.}=$value"
done < <(env | grep '^KAFKA_') >"$properties"
java=(/opt/java/bin/java -Xmx512m -XX:+UseSerialGC -XX:TieredStopAtLevel=1 -Dorg.slf4j.simpleLogger.defaultLogLevel=warn
    -cp '/opt/kafka/libs/*')
"${java[@]}" kafka.tools.StorageTool format --ignore-formatted --cluster-id "$CLUSTER_ID" --config "$properties"
exec "${java[@]}" kafka.Kafka "$properties"
