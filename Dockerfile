# The page and the service (docs/export_and_serving.md), on http://localhost:8501:
#
#     docker build -t tfmds .
#     docker run -e TFMDS_TOKEN=SECRET -p 127.0.0.1:8501:8501 -v tfmds:/data tfmds
#
# tests/test_container.py does step by step what this file says, in a virtual
# environment in the image's place: there was no Docker where it was written.
FROM python:3.12-slim
WORKDIR /app
COPY pyproject.toml setup.cfg LICENSE README.md ./
COPY tfmds tfmds
COPY pipelines pipelines
RUN pip install --no-cache-dir .[serve]
RUN useradd --create-home tfmds && mkdir /data && chown tfmds /data
USER tfmds
WORKDIR /home/tfmds
ENV TFMDS_HOST=0.0.0.0
ENV TFMDS_DATA_DIR=/data
VOLUME /data
EXPOSE 8501
HEALTHCHECK --start-period=120s CMD python -c "import urllib.request as r; r.urlopen('http://127.0.0.1:8501/readyz')"
CMD ["python", "-m", "tfmds.serve"]
