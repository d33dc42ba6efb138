# A service of one model, on the processor.
#
#     docker build -t untrimmed --build-arg PIP_EXTRA_INDEX_URL=ADDRESS .
#     docker run --rm -p 127.0.0.1:8000:8000 -v "$PWD/runs/mine/best:/model:ro" -v "$PWD/token:/token:ro" untrimmed
#
# ADDRESS is PyTorch's index of CPU builds. Without it the build stops; with an empty one, `PIP_EXTRA_INDEX_URL=`, the
# image has torch as the default index has it, which on x86 is with CUDA, and ten times as large.
FROM python:3.11-slim

ARG PIP_EXTRA_INDEX_URL

WORKDIR /source
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY src src
# pip reads PIP_EXTRA_INDEX_URL from the environment, and the shell says which argument is missing.
RUN : "${PIP_EXTRA_INDEX_URL?has to be the address of an index of CPU builds of PyTorch, or empty}" \
    && pip install --no-cache-dir -c constraints.txt ".[serve]" \
    && useradd --create-home --uid 1000 untrimmed

USER untrimmed
WORKDIR /home/untrimmed
EXPOSE 8000
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s \
    CMD ["python", "-c", "from untrimmed.service.client import Client; Client(timeout=4).health()"]

# All that can reach the container can ask it, so it does not start without a token: a file of one line, which user 1000
# can read. SIGTERM lets it finish what it holds; `docker stop --time 120` leaves it the time for that.
ENTRYPOINT ["untrimmed", "serve"]
CMD ["/model", "--host", "0.0.0.0", "--token-file", "/token"]
