/* SPDX-License-Identifier: PostgreSQL
 *
 * One easy handle a request, taken from a pool: its connection stays open for the next one. Kept to HTTP/1.1: parts
 * travel side by side on connections of their own, which is what one wants for bulk.
 */
#include "config.h"

#include "common/http.h"

#include "pgcask-plugin.h"

#include <ctype.h>
#include <curl/curl.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <string.h>
#include <sys/socket.h>

enum {
    BUFFER_BYTES = 512 * 1024,    /* curl's own, for each direction */
    HEADERS_MAX_BYTES = 64 * 1024,
    BODY_LIMIT_BYTES = 1024 * 1024,
    TRICKLE_BYTES = 64, /* a second: fewer are no progress */
    CONNECT_TIMEOUT_MS = 10 * 1000,
    STALL_TIMEOUT_MS = 60 * 1000,
    IDLE_MAX = 64,
};

/* One handle with the connection it keeps. */
struct client {
    CURL *curl;
    curl_socket_t fd; /* of its newest connection; CURL_SOCKET_BAD: none */
};

struct http {
    char *ca_file, *proxy;
    int64_t connect_timeout_ms, stall_timeout_ms;
    pthread_mutex_t lock; /* for idle; a leaf */
    struct client *idle[IDLE_MAX];
    size_t idle_count;
};

/* One request under way. */
struct exchange {
    struct client *client;
    CURL *curl;
    const struct http_request *request;
    struct http_answer answer;
    size_t sent;
    size_t header_bytes;
    size_t limit;
    bool too_long;
    bool unanswered;
    bool cleaning_up; /* the run was stopped before this began: what still comes is to leave no trace */
    char error[CURL_ERROR_SIZE];
};

int
http_new(const struct http_settings *settings, struct http **ret_http)
{
    static pthread_mutex_t once = PTHREAD_MUTEX_INITIALIZER;
    CURLcode code;
    struct http *http;

    (void)pthread_mutex_lock(&once);
    code = curl_global_init(CURL_GLOBAL_DEFAULT); /* counted; never undone: other plugins may use it */
    (void)pthread_mutex_unlock(&once);
    if (code != CURLE_OK) {
        pgcask_error("libcurl could not start: %s", curl_easy_strerror(code));
        return PGCASK_FAILED;
    }
    http = plain_zalloc(sizeof *http);
    http->ca_file = settings->ca_file ? plain_strdup(settings->ca_file) : NULL;
    http->proxy = settings->proxy ? plain_strdup(settings->proxy) : NULL;
    http->connect_timeout_ms = settings->connect_timeout_ms > 0 ? settings->connect_timeout_ms : CONNECT_TIMEOUT_MS;
    http->stall_timeout_ms = settings->stall_timeout_ms > 0 ? settings->stall_timeout_ms : STALL_TIMEOUT_MS;
    (void)pthread_mutex_init(&http->lock, NULL);
    *ret_http = http;
    return 0;
}

static void
client_free(struct client *client)
{
    if (client->curl != NULL)
        curl_easy_cleanup(client->curl); /* calls client_close */
    free(client);
}

void
http_free(struct http *http)
{
    if (http == NULL)
        return;
    for (size_t i = 0; i < http->idle_count; i++)
        client_free(http->idle[i]);
    (void)pthread_mutex_destroy(&http->lock);
    free(http->ca_file);
    free(http->proxy);
    free(http);
}

/* NULL: out of memory. */
static struct client *
http_take(struct http *http)
{
    struct client *client = NULL;

    (void)pthread_mutex_lock(&http->lock);
    if (http->idle_count > 0)
        client = http->idle[--http->idle_count];
    (void)pthread_mutex_unlock(&http->lock);
    if (client != NULL)
        return client;
    client = plain_zalloc(sizeof *client);
    client->fd = CURL_SOCKET_BAD;
    client->curl = curl_easy_init();
    if (client->curl != NULL)
        return client;
    client_free(client);
    return NULL;
}

/* Signed headers and bodies of the last request are forgotten; the connection is kept. */
static void
http_give_back(struct http *http, struct client *client)
{
    curl_easy_reset(client->curl);
    (void)pthread_mutex_lock(&http->lock);
    if (http->idle_count < IDLE_MAX) {
        http->idle[http->idle_count++] = client;
        client = NULL;
    }
    (void)pthread_mutex_unlock(&http->lock);
    if (client != NULL)
        client_free(client);
}

/* ---- what curl calls ---- */

static size_t
exchange_read(char *out, size_t size, size_t count, void *ctx)
{
    struct exchange *exchange = ctx;
    size_t room = size * count, left = exchange->request->body_size - exchange->sent;

    if (left > room)
        left = room;
    if (left == 0)
        return 0;
    pgcask_pace(left);
    if (!exchange->cleaning_up && pgcask_cancelled())
        return CURL_READFUNC_ABORT;
    memcpy(out, (const char *)exchange->request->body + exchange->sent, left);
    exchange->sent += left;
    pgcask_count(PGCASK_COUNT_SENT, left);
    return left;
}

/* A kept connection was closed before an answer came, and curl wants to send the same again by itself. Not so: whether the
 * first one was carried out is for the caller to find out. */
static int
exchange_seek(void *ctx, curl_off_t offset, int origin)
{
    struct exchange *exchange = ctx;

    (void)offset;
    (void)origin;
    exchange->unanswered = true;
    return CURL_SEEKFUNC_FAIL;
}

static long
exchange_status(const struct exchange *exchange)
{
    long status = 0;

    (void)curl_easy_getinfo(exchange->curl, CURLINFO_RESPONSE_CODE, &status);
    return status;
}

/* Have what came acknowledged at once: a server that sends head and body apart, and waits for the acknowledgement of one
 * before it sends the other (Nagle's algorithm, as Ceph does), would otherwise stand still for 40 ms with each answer. */
static void
exchange_acknowledge(const struct exchange *exchange)
{
    int on = 1;

    if (exchange->client->fd != CURL_SOCKET_BAD)
        (void)setsockopt(exchange->client->fd, IPPROTO_TCP, TCP_QUICKACK, &on, sizeof on);
}

/* Which socket a handle's connection has: curl does not tell while it is in use, and leaves it to programs we start. */
static int
client_socket(void *ctx, curl_socket_t fd, curlsocktype purpose)
{
    struct client *client = ctx;

    (void)purpose;
    (void)fcntl(fd, F_SETFD, FD_CLOEXEC);
    client->fd = fd;
    return CURL_SOCKOPT_OK;
}

static int
client_close(void *ctx, curl_socket_t fd)
{
    struct client *client = ctx;

    if (client->fd == fd)
        client->fd = CURL_SOCKET_BAD;
    return close(fd);
}

static size_t
exchange_write(char *data, size_t size, size_t count, void *ctx)
{
    struct exchange *exchange = ctx;
    const struct http_request *request = exchange->request;
    struct http_answer *answer = &exchange->answer;
    size_t len = size * count;
    long status = exchange_status(exchange);

    exchange_acknowledge(exchange);
    pgcask_pace(len);
    pgcask_count(PGCASK_COUNT_RECEIVED, len);
    if (request->into != NULL && status >= 200 && status < 300) {
        if (len > request->into_size - answer->into_len) {
            exchange->too_long = true;
            return 0;
        }
        memcpy((char *)request->into + answer->into_len, data, len);
        answer->into_len += len;
        return len;
    }
    if (len > exchange->limit - answer->body_len) {
        exchange->too_long = true;
        return 0;
    }
    answer->body = plain_realloc_array(answer->body, answer->body_len + len + 1, 1);
    memcpy(answer->body + answer->body_len, data, len);
    answer->body_len += len;
    answer->body[answer->body_len] = '\0';
    return len;
}

static void
answer_drop_headers(struct http_answer *answer)
{
    for (size_t i = 0; i < answer->header_count; i++)
        free(answer->headers[i]);
    free(answer->headers);
    answer->headers = NULL;
    answer->header_count = 0;
}

static size_t
exchange_header(char *data, size_t size, size_t count, void *ctx)
{
    struct exchange *exchange = ctx;
    struct http_answer *answer = &exchange->answer;
    size_t len = size * count, text = len;
    char *header, *colon;

    exchange->header_bytes += len;
    if (exchange->header_bytes > HEADERS_MAX_BYTES) {
        exchange->too_long = true;
        return 0;
    }
    if (len >= 5 && memcmp(data, "HTTP/", 5) == 0) {
        answer_drop_headers(answer); /* those before were of a proxy, or of "100 Continue" */
        exchange_acknowledge(exchange);
        return len;
    }
    while (text > 0 && isspace((unsigned char)data[text - 1]))
        text--;
    header = plain_strndup(data, text);
    colon = strchr(header, ':');
    if (colon == NULL) {
        free(header);
        return len;
    }
    for (char *p = header; p < colon; p++)
        *p = (char)tolower((unsigned char)*p);
    answer->headers = plain_realloc_array(answer->headers, answer->header_count + 1, sizeof *answer->headers);
    answer->headers[answer->header_count++] = header;
    return len;
}

static int
exchange_progress(void *ctx, curl_off_t down_total, curl_off_t down, curl_off_t up_total, curl_off_t up)
{
    const struct exchange *exchange = ctx;

    (void)down_total, (void)down, (void)up_total, (void)up;
    return !exchange->cleaning_up && pgcask_cancelled();
}

/* ---- one request ---- */

/* Whole seconds, at least one: curl knows no less here. */
static long
seconds_of(int64_t ms)
{
    return ms < 1000 ? 1 : (long)(ms / 1000);
}

static void
exchange_set_body(struct exchange *exchange)
{
    const struct http_request *request = exchange->request;
    CURL *curl = exchange->curl;

    if (strcmp(request->method, "HEAD") == 0)
        (void)curl_easy_setopt(curl, CURLOPT_NOBODY, 1L);
    else if (strcmp(request->method, "PUT") == 0 || strcmp(request->method, "POST") == 0) {
        (void)curl_easy_setopt(curl, CURLOPT_UPLOAD, 1L);
        (void)curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, request->method);
        (void)curl_easy_setopt(curl, CURLOPT_INFILESIZE_LARGE, (curl_off_t)request->body_size);
    } else
        (void)curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, request->method);
    (void)curl_easy_setopt(curl, CURLOPT_READFUNCTION, exchange_read);
    (void)curl_easy_setopt(curl, CURLOPT_READDATA, exchange);
    (void)curl_easy_setopt(curl, CURLOPT_SEEKFUNCTION, exchange_seek);
    (void)curl_easy_setopt(curl, CURLOPT_SEEKDATA, exchange);
    (void)curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, exchange_write);
    (void)curl_easy_setopt(curl, CURLOPT_WRITEDATA, exchange);
    (void)curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, exchange_header);
    (void)curl_easy_setopt(curl, CURLOPT_HEADERDATA, exchange);
    (void)curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, exchange_progress);
    (void)curl_easy_setopt(curl, CURLOPT_XFERINFODATA, exchange);
    (void)curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
    (void)curl_easy_setopt(curl, CURLOPT_BUFFERSIZE, (long)BUFFER_BYTES);
    (void)curl_easy_setopt(curl, CURLOPT_UPLOAD_BUFFERSIZE, (long)BUFFER_BYTES);
}

static void
exchange_set_connection(const struct http *http, struct exchange *exchange)
{
    const struct http_request *request = exchange->request;
    CURL *curl = exchange->curl;

    (void)curl_easy_setopt(curl, CURLOPT_URL, request->url);
    (void)curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
    (void)curl_easy_setopt(curl, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    (void)curl_easy_setopt(curl, CURLOPT_PATH_AS_IS, 1L);
    (void)curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    (void)curl_easy_setopt(curl, CURLOPT_TCP_KEEPALIVE, 1L);
    (void)curl_easy_setopt(curl, CURLOPT_SOCKOPTFUNCTION, client_socket);
    (void)curl_easy_setopt(curl, CURLOPT_SOCKOPTDATA, exchange->client);
    (void)curl_easy_setopt(curl, CURLOPT_CLOSESOCKETFUNCTION, client_close);
    (void)curl_easy_setopt(curl, CURLOPT_CLOSESOCKETDATA, exchange->client);
    (void)curl_easy_setopt(curl, CURLOPT_USERAGENT, "pgcask/" PACKAGE_VERSION);
    (void)curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, exchange->error);
    (void)curl_easy_setopt(curl, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    if (http->ca_file != NULL)
        (void)curl_easy_setopt(curl, CURLOPT_CAINFO, http->ca_file);
    if (request->direct)
        (void)curl_easy_setopt(curl, CURLOPT_PROXY, "");
    else if (http->proxy != NULL)
        (void)curl_easy_setopt(curl, CURLOPT_PROXY, http->proxy);
    (void)curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, (long)http->connect_timeout_ms);
    (void)curl_easy_setopt(curl, CURLOPT_LOW_SPEED_LIMIT, (long)TRICKLE_BYTES);
    (void)curl_easy_setopt(curl, CURLOPT_LOW_SPEED_TIME, seconds_of(http->stall_timeout_ms));
    (void)curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, (long)request->timeout_ms);
}

/* "Expect: 100-continue" would cost a round trip for each part. */
static struct curl_slist *
exchange_headers(const struct http_request *request)
{
    struct curl_slist *list = curl_slist_append(NULL, "Expect:");

    for (const char *const *header = request->headers; header != NULL && *header != NULL; header++) {
        struct curl_slist *longer = curl_slist_append(list, *header);

        if (longer == NULL) {
            curl_slist_free_all(list);
            return NULL;
        }
        list = longer;
    }
    return list;
}

/* What went wrong below HTTP, as one code and text. */
static int
exchange_failed(const struct exchange *exchange, CURLcode code)
{
    const char *said = strchr(exchange->error, '@') == NULL ? exchange->error : ""; /* else a proxy with its password */
    const char *why = *said != '\0' ? said : curl_easy_strerror(code), *url = exchange->request->url;
    size_t begin = exchange->request->direct ? strlen("https://") : 0; /* what is behind may be a secret there */
    int host = (int)(strlen(url) < begin ? 0 : begin + strcspn(url + begin, exchange->request->direct ? "/?" : "?"));

    if (exchange->too_long) {
        pgcask_error("%s %.*s: the answer is longer than it may be", exchange->request->method, host, url);
        return PGCASK_FAILED;
    }
    if (exchange->unanswered)
        why = "the server closed the connection without an answer";
    pgcask_error("%s %.*s: %s", exchange->request->method, host, url, why);
    switch (code) {
    case CURLE_PEER_FAILED_VERIFICATION:
        pgcask_hint("the server's certificate is not signed by an authority known here, or is for another name, or its time "
                    "is over, or this host's clock is wrong: a private authority is named by ca_file");
        return PGCASK_FAILED;
    case CURLE_SSL_CACERT_BADFILE:
        pgcask_hint("ca_file must be a readable file of PEM certificates");
        return PGCASK_FAILED;
    case CURLE_URL_MALFORMAT:
    case CURLE_UNSUPPORTED_PROTOCOL:
    case CURLE_SSL_ENGINE_NOTFOUND:
    case CURLE_ABORTED_BY_CALLBACK:
    case CURLE_OUT_OF_MEMORY:
        return PGCASK_FAILED;
    case CURLE_COULDNT_RESOLVE_HOST:
        pgcask_hint("is the name of the server right, does this host's DNS answer?");
        return PGCASK_RETRY;
    case CURLE_SSL_CONNECT_ERROR:
        pgcask_hint("does the server speak TLS 1.2 or later on that port, or should the URL begin with http://?");
        return PGCASK_RETRY;
    case CURLE_COULDNT_RESOLVE_PROXY:
        pgcask_hint("is the name of the proxy right?");
        return PGCASK_RETRY;
    case CURLE_COULDNT_CONNECT:
        pgcask_hint("is the server running, are address and port right, does a firewall let this host through?");
        return PGCASK_RETRY;
    default:
        return PGCASK_RETRY; /* cut, stalled, timed out */
    }
}

int
http_send(struct http *http, const struct http_request *request, struct http_answer *ret_answer)
{
    struct exchange exchange = { .request = request, .limit = request->limit > 0 ? request->limit : BODY_LIMIT_BYTES };
    struct curl_slist *headers = exchange_headers(request);
    long connects = 0;
    CURLcode code;
    bool kept;
    int rc = 0;

    exchange.client = http_take(http);
    if (exchange.client == NULL || headers == NULL) {
        pgcask_error("libcurl is out of memory");
        curl_slist_free_all(headers);
        if (exchange.client != NULL)
            client_free(exchange.client);
        return PGCASK_FAILED;
    }
    exchange.curl = exchange.client->curl;
    exchange.answer.body = plain_strdup("");
    exchange.cleaning_up = pgcask_cancelled() != 0;
    exchange_set_connection(http, &exchange);
    exchange_set_body(&exchange);
    (void)curl_easy_setopt(exchange.curl, CURLOPT_HTTPHEADER, headers);
    kept = exchange.client->fd != CURL_SOCKET_BAD;
    code = curl_easy_perform(exchange.curl);
    exchange.answer.status = exchange_status(&exchange);
    (void)curl_easy_getinfo(exchange.curl, CURLINFO_NUM_CONNECTS, &connects);
    exchange.answer.resent = kept && connects > 0;
    if (code != CURLE_OK)
        rc = exchange_failed(&exchange, code);
    http_give_back(http, exchange.client);
    curl_slist_free_all(headers);
    if (rc < 0) {
        http_answer_free(&exchange.answer);
        return rc;
    }
    *ret_answer = exchange.answer;
    return 0;
}

void
http_answer_free(struct http_answer *answer)
{
    answer_drop_headers(answer);
    plain_wipe_free(answer->body); /* it may hold somebody's keys */
    *answer = (struct http_answer){ 0 };
}

const char *
http_answer_header(const struct http_answer *answer, const char *name)
{
    size_t len = strlen(name);

    for (size_t i = 0; i < answer->header_count; i++) {
        const char *header = answer->headers[i];

        if (strncmp(header, name, len) != 0 || header[len] != ':')
            continue;
        header += len + 1;
        return header + strspn(header, " \t");
    }
    return NULL;
}
