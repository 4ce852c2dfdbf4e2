# gradproof without Rust: the wheel beside its torch, which pip installs.
#
#     ./do wheel && docker build -t gradproof .
#     docker run --rm -v "$PWD:/here" gradproof explain --weights net.safetensors --data photos \
#         --method ig --figure maps.png
#
# The wheel's program needs a glibc at least as new as where it was built. A smaller image has the CPU build of
# torch: give `--build-arg PIP_INDEX_URL=…` an index that has only that one. GPUs: `docker run --gpus all`.
FROM python:3.12-slim
ARG PIP_INDEX_URL
COPY target/wheel/gradproof-*.whl /wheel/
RUN pip install --no-cache-dir /wheel/gradproof-*.whl && rm -r /wheel && gradproof doctor
# Published data and results are kept outside: mount a folder here.
ENV GRADPROOF_DATA_DIR=/here/data
WORKDIR /here
ENTRYPOINT ["gradproof"]
