# A fitted run behind an address.
#
#   docker build -t mltfr .
#   docker run --rm -p 127.0.0.1:8000:8000 -e MLTFR_API_KEY=a-long-secret -v "$PWD/runs/mltfr:/srv/run:ro" mltfr
#
# On x86 Linux the package index serves torch with CUDA, which is several gigabytes larger. An index of CPU builds:
#
#   docker build -t mltfr --build-arg TORCH_INDEX=URL .

FROM python:3.13-slim AS build
ARG TORCH_INDEX=""
WORKDIR /build
RUN python -m venv /opt/mltfr
ENV PATH=/opt/mltfr/bin:$PATH PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
COPY constraints.txt ./
RUN pip install --constraint constraints.txt ${TORCH_INDEX:+--index-url "$TORCH_INDEX"} torch
COPY pyproject.toml README.md LICENSE ./
COPY src ./src
RUN pip install --constraint constraints.txt ".[serve]"

FROM python:3.13-slim
RUN useradd --create-home --uid 10001 mltfr
COPY --from=build /opt/mltfr /opt/mltfr
ENV PATH=/opt/mltfr/bin:$PATH PYTHONUNBUFFERED=1 MLTFR_OFFLINE=1
USER 10001
EXPOSE 8000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=60s \
  CMD ["python", "-c", "from urllib.request import urlopen; urlopen('http://127.0.0.1:8000/health/live', timeout=2)"]
ENTRYPOINT ["mltfr", "serve", "/srv/run", "--host", "0.0.0.0", "--port", "8000"]
CMD ["--watch"]
