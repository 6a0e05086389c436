# docker build -t broadcast . && docker run -p 8400:8400 -v broadcast:/data broadcast
FROM python:3.11-slim AS build
WORKDIR /src
RUN python -m venv /opt/broadcast
COPY requirements.lock .
RUN /opt/broadcast/bin/pip install --no-cache-dir --require-hashes --requirement requirements.lock
COPY . .
RUN /opt/broadcast/bin/pip install --no-cache-dir --no-deps --no-build-isolation .

FROM python:3.11-slim
RUN useradd --system --uid 10001 broadcast && install -d -o broadcast -g broadcast -m 0700 /data
COPY --from=build /opt/broadcast /opt/broadcast
ENV PATH=/opt/broadcast/bin:$PATH BROADCAST_HOST=0.0.0.0 BROADCAST_DATA_DIR=/data PYTHONUNBUFFERED=1
USER broadcast
WORKDIR /data
VOLUME /data
EXPOSE 8400
HEALTHCHECK CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:8400/readyz', timeout=4)"]
CMD ["broadcast", "serve"]
