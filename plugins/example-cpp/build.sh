#!/bin/sh
# Build the probe as one static file: build.sh OUT. Debian: g++ protobuf-compiler protobuf-compiler-grpc
# libgrpc++-dev libssl-dev pkg-config.
set -eu
cd "$(dirname "$0")"
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
protoc -I ../../proto --cpp_out="$tmp" --grpc_out="$tmp" --plugin=protoc-gen-grpc="$(command -v grpc_cpp_plugin)" probe/v1/probe.proto
g++ -std=c++17 -O1 -Wall -Wextra -static -s -Wl,--no-warnings -I . -I "$tmp" -o "$1" main.cc handshake.cc "$tmp"/probe/v1/*.cc \
	$(pkg-config --static --libs grpc++ protobuf openssl)
