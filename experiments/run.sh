#!/bin/sh
# `scale=cpu data=PATH` of a recipe as options of `gradproof run`.
# run.sh PROGRAM EXPERIMENT [scale=smoke|cpu|paper] [data=PATH] [out=DIR] [NAME=VALUE …] [options of `gradproof run`]
set -eu
gradproof=$1
file=experiments/$2.toml
shift 2
count=$#
while [ "$count" -gt 0 ]; do
    word=$1
    shift
    case $word in
        scale=*) set -- "$@" --scale "${word#scale=}" ;;
        out=*) set -- "$@" --out "${word#out=}" ;;
        -*) set -- "$@" "$word" ;;
        *=*) set -- "$@" --set "$word" ;;
        *) set -- "$@" "$word" ;;
    esac
    count=$((count - 1))
done
exec "$gradproof" run "$file" --resume "$@"
