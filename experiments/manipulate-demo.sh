#!/bin/sh
# Images whose maps become the map of the next image (Dombrowski et al. 2019), as a picture.
# manipulate-demo.sh PROGRAM [scale=smoke|cpu|paper] [data=CIFAR-10 PATH]
set -eu
# POSIX: a sourced file sees the words of its caller.
set -- manipulate-demo "$@"
. experiments/scale.sh

limit=6
eps=8/255
iters=200
[ "$scale" != smoke ] || iters=50
attack natural gxi manipulate manipulate-gxi --rule adam --beta 10:100 --figure "$out/wall.png"

say "the picture: $out/wall.png"
