#!/bin/sh
# Puts two servers beside labeld that are built as containers only: text-embeddings-inference (TEI) and OpenVINO Model
# Server (OVMS). It was NOT run where the rest was measured: that machine has no containers. It needs docker, wrk, and a
# folder with the model's files. Which models TEI takes depends on its version: see its list of supported models.
#
#   TEI_IMAGE=… benchmarks/peers/containers.sh MODEL_FOLDER [CORES]
#
# TEI_IMAGE is the image for processors that TEI's documentation names; OVMS_IMAGE is openvino/model_server by default.
#
# Both servers and wrk share the cores, as in `python -m benchmarks compare`; run
# `labeld serve --models-dir …` under the same wrk command beside it. OVMS gets token ids, so it is spared the tokenising.
set -eu

model=$(realpath "$1")
cores=${2:-2}
last=$((cores - 1))
tei_image=${TEI_IMAGE:?the image of text-embeddings-inference for processors, as its documentation names it}
ovms_image=${OVMS_IMAGE:-openvino/model_server:latest}
body='{"inputs": "The kettle works exactly as described, and it is quieter than the one before."}'
script=$(mktemp)
container=
trap 'rm -f "$script"; [ -z "$container" ] || docker rm --force "$container" >/dev/null' EXIT INT TERM

load() { # URL BODY
    until curl --silent --fail --output /dev/null --header 'Content-Type: application/json' --data "$2" "$1"; do
        docker inspect --format '{{.State.Running}}' "$container" | grep --quiet true || exit 1
        sleep 1
    done
    printf 'wrk.method, wrk.body = "POST", [[%s]]\nwrk.headers["Content-Type"] = "application/json"\n' "$2" >"$script"
    for connections in 32 1 32 1; do
        wrk -t1 "-c$connections" -d10s --latency --timeout 30s -s "$script" "$1"
    done
    docker stats --no-stream --format 'memory {{.MemUsage}}' "$container"
    docker rm --force "$container" >/dev/null
    container=
}

echo "== text-embeddings-inference: $tei_image"
container=$(docker run --detach --cpuset-cpus "0-$last" --publish 127.0.0.1:8081:80 --volume "$model:/model:ro" \
    --env HF_HUB_OFFLINE=1 "$tei_image" --model-id /model --max-concurrent-requests 512)
load http://127.0.0.1:8081/predict "$body"

# OVMS serves an OpenVINO file. Made with: pip install openvino torch transformers, then
#   ov.save_model(ov.convert_model(model, example_input=…), "MODEL_FOLDER/openvino/1/model.xml")
if [ -d "$model/openvino/1" ]; then
    echo "== OpenVINO Model Server: $ovms_image"
    container=$(docker run --detach --cpuset-cpus "0-$last" --publish 127.0.0.1:8082:8082 \
        --volume "$model/openvino:/model:ro" "$ovms_image" --model_name model --model_path /model --rest_port 8082)
    ids='[101, 1996, 22421, 2573, 3599, 2004, 2649, 102]'
    ones='[1, 1, 1, 1, 1, 1, 1, 1]'
    load http://127.0.0.1:8082/v2/models/model/infer "{\"inputs\": [
        {\"name\": \"input_ids\", \"shape\": [1, 8], \"datatype\": \"INT64\", \"data\": $ids},
        {\"name\": \"attention_mask\", \"shape\": [1, 8], \"datatype\": \"INT64\", \"data\": $ones}]}"
else
    echo "== OpenVINO Model Server: skipped, $model/openvino/1/model.xml is not there (see the comment in this script)"
fi
