# The service alone. It needs a PostgreSQL of 15.20 or later, a key ring, and a proxy that ends TLS before it.
#   docker run --env-file settings -v keys:/keys utvag [serve | migrate | key init | …]
FROM debian:12-slim AS build
WORKDIR /source
COPY dev .
RUN ./dev packages
COPY . .
RUN cmake --preset release && cmake --build --preset release --target utvag && strip build/release/utvag

FROM debian:12-slim
RUN apt-get update && apt-get install -y --no-install-recommends ca-certificates \
    libulfius2.7 libmicrohttpd12 libgnutls30 libjansson4 libpq5 libjwt0 libssl3 libyaml-0-2 libpcre2-8-0 libutf8proc2 liboath0 libxml2 \
    && rm -rf /var/lib/apt/lists/* && useradd --system --no-create-home utvag && install -d -o utvag -m 700 /keys
COPY --from=build /source/build/release/utvag /usr/local/bin/
COPY LICENSE /usr/share/doc/utvag/
USER utvag
ENV UTVAG_ADDRESS=0.0.0.0 UTVAG_KEYS=/keys
VOLUME /keys
EXPOSE 8080
ENTRYPOINT ["utvag"]
CMD ["serve"]
