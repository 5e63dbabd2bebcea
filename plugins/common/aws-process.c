/* SPDX-License-Identifier: PostgreSQL */
#include "config.h"

#include "common/aws-process.h"

#include "pgcask-plugin.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/crypto.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>

enum {
    TALK_BYTES = 4096,  /* the end of what it says on stderr */
    REASON_BYTES = 300, /* of which the last line goes into an error */
    LOOK_MS = 100,      /* how often to see whether it has ended, and whether we are to stop */
    LOOK_SOON_MS = 5,   /* when it has closed its output and is about to end */
    OUT = 0,
    ERR = 1,
};

extern char **environ;

/* ---- words ---- */

static void
words_add(char ***words, size_t *count, const char *word)
{
    *words = plain_realloc_array(*words, *count + 2, sizeof **words);
    (*words)[(*count)++] = plain_strdup(word);
    (*words)[*count] = NULL;
}

void
aws_process_words_free(char **words)
{
    for (char **word = words; word != NULL && *word != NULL; word++)
        plain_wipe_free(*word);
    free(words);
}

/* One word from *at on into `word`; false: a quote is not closed. */
static bool
words_next(const char **at, char *word)
{
    const char *p = *at;
    char quote = '\0';

    for (; *p != '\0' && (quote != '\0' || (*p != ' ' && *p != '\t')); p++) {
        if (quote == '\0' && (*p == '"' || *p == '\''))
            quote = *p;
        else if (*p == quote)
            quote = '\0';
        else if (*p == '\\' && (quote == '\0' || (quote == '"' && (p[1] == '"' || p[1] == '\\')))) {
            if (p[1] == '\0')
                return false;
            *word++ = *++p;
        } else
            *word++ = *p;
    }
    *word = '\0';
    *at = p;
    return quote == '\0';
}

char **
aws_process_words(const char *command)
{
    CLEANUP_WIPE char *word = plain_zalloc(strlen(command) + 1);
    const char *p = command;
    char **words = NULL;
    size_t count = 0;

    for (p += strspn(p, " \t"); *p != '\0'; p += strspn(p, " \t")) {
        if (!words_next(&p, word)) {
            pgcask_error("credential_process: a quote is not closed");
            aws_process_words_free(words);
            return NULL;
        }
        words_add(&words, &count, word);
    }
    if (words == NULL || words[0][0] == '\0') {
        pgcask_error("credential_process names no program");
        aws_process_words_free(words);
        return NULL;
    }
    return words;
}

/* ---- the program ---- */

struct run {
    const char *name; /* of the program, for messages */
    pid_t pid;
    int fds[2]; /* where its stdout and stderr arrive; -1: closed */
    char *out;
    size_t out_len;
    char talk[TALK_BYTES + 1];
    size_t talk_len;
    bool too_long;
    bool ended; /* reaped, with `status` */
    int status;
};

static int64_t
run_now_ms(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static int
run_spawn(char **words, int in, int out, int err, pid_t *ret_pid)
{
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    sigset_t none, defaults;
    int rc;

    (void)posix_spawn_file_actions_init(&actions);
    (void)posix_spawnattr_init(&attributes);
    (void)posix_spawn_file_actions_adddup2(&actions, in, STDIN_FILENO);
    (void)posix_spawn_file_actions_adddup2(&actions, out, STDOUT_FILENO);
    (void)posix_spawn_file_actions_adddup2(&actions, err, STDERR_FILENO);
    /* the threads of the host block signals and ignore these two: the program must not */
    (void)sigemptyset(&none);
    (void)sigemptyset(&defaults);
    (void)sigaddset(&defaults, SIGPIPE);
    (void)sigaddset(&defaults, SIGXFSZ);
    (void)posix_spawnattr_setsigmask(&attributes, &none);
    (void)posix_spawnattr_setsigdefault(&attributes, &defaults);
    (void)posix_spawnattr_setpgroup(&attributes, 0); /* to be killed with all that it starts */
    (void)posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP);
    rc = posix_spawnp(ret_pid, words[0], &actions, &attributes, words, environ);
    (void)posix_spawn_file_actions_destroy(&actions);
    (void)posix_spawnattr_destroy(&attributes);
    return rc;
}

static int
run_start(char **words, struct run *run)
{
    CLEANUP_FD int in = open("/dev/null", O_RDONLY | O_CLOEXEC);
    int out[2] = { -1, -1 }, err[2] = { -1, -1 };
    int rc = 0;

    if (in < 0 || pipe2(out, O_CLOEXEC) < 0 || pipe2(err, O_CLOEXEC) < 0)
        rc = errno;
    if (rc == 0)
        rc = run_spawn(words, in, out[1], err[1], &run->pid);
    if (out[1] >= 0)
        (void)close(out[1]); /* the program's ends */
    if (err[1] >= 0)
        (void)close(err[1]);
    run->fds[OUT] = out[0];
    run->fds[ERR] = err[0];
    if (rc == 0) {
        (void)fcntl(run->fds[OUT], F_SETFL, O_NONBLOCK);
        (void)fcntl(run->fds[ERR], F_SETFL, O_NONBLOCK);
        return PGCASK_OK;
    }
    errno = rc;
    pgcask_error_errno("credential_process could not start '%s'", run->name);
    pgcask_hint("give the whole path: no shell is involved, so '~', variables and pipes mean nothing");
    return PGCASK_FAILED;
}

static void
run_close(struct run *run, int which)
{
    if (run->fds[which] >= 0)
        (void)close(run->fds[which]); /* a pipe that was read */
    run->fds[which] = -1;
}

/* Of what goes to stderr only the end counts. */
static void
run_keep_talk(struct run *run, const char *data, size_t len)
{
    size_t keep;

    if (len > TALK_BYTES) {
        data += len - TALK_BYTES;
        len = TALK_BYTES;
    }
    keep = run->talk_len < TALK_BYTES - len ? run->talk_len : TALK_BYTES - len;
    memmove(run->talk, run->talk + run->talk_len - keep, keep);
    memcpy(run->talk + keep, data, len);
    run->talk_len = keep + len;
    run->talk[run->talk_len] = '\0';
}

/* All that is there now. */
static void
run_read(struct run *run, int which)
{
    char data[4096];
    ssize_t got;

    while (run->fds[which] >= 0 && !run->too_long) {
        got = read(run->fds[which], data, sizeof data);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0 && errno == EAGAIN)
            break;
        if (got <= 0)
            run_close(run, which);
        else if (which == ERR)
            run_keep_talk(run, data, (size_t)got);
        else if ((size_t)got > AWS_PROCESS_OUTPUT_BYTES - run->out_len)
            run->too_long = true;
        else {
            memcpy(run->out + run->out_len, data, (size_t)got);
            run->out_len += (size_t)got;
        }
    }
    OPENSSL_cleanse(data, sizeof data);
}

static void
run_look(struct run *run)
{
    int status = -1;
    pid_t got;

    do
        got = waitpid(run->pid, &status, WNOHANG);
    while (got < 0 && errno == EINTR);
    if (got == 0)
        return;
    run->ended = true;
    run->status = got > 0 ? status : -1; /* -1: SIGCHLD is ignored, so nobody knows */
}

/* It and what it started; then nothing is left of it. */
static void
run_kill(struct run *run)
{
    (void)kill(-run->pid, SIGKILL); /* not reaped: the group is still its own */
    while (waitpid(run->pid, &run->status, 0) < 0 && errno == EINTR)
        ;
    run->ended = true;
}

static void
run_wait(struct run *run)
{
    bool open = run->fds[OUT] >= 0 || run->fds[ERR] >= 0;
    struct pollfd polls[2] = {
        { .fd = run->fds[OUT], .events = POLLIN }, /* -1 is passed over */
        { .fd = run->fds[ERR], .events = POLLIN },
    };

    (void)poll(polls, 2, open ? LOOK_MS : LOOK_SOON_MS);
}

/* Why it may not run on, as an error; 0 when it may. */
static int
run_check(const struct run *run, int64_t end_ms)
{
    if (run->too_long) {
        pgcask_error("credential_process '%s' gave more than %d bytes", run->name, (int)AWS_PROCESS_OUTPUT_BYTES);
        return PGCASK_FAILED;
    }
    if (run->ended)
        return PGCASK_OK;
    if (pgcask_cancelled()) {
        pgcask_error("credential_process '%s' was stopped", run->name);
        return PGCASK_FAILED;
    }
    if (run_now_ms() >= end_ms) {
        pgcask_error("credential_process '%s' did not end in time", run->name);
        pgcask_hint("it has no terminal to ask at: run it as the user that pgcask runs as, with standard input from "
                    "/dev/null");
        return PGCASK_FAILED; /* it had its time: more tries would hold up the other stores for as long again each */
    }
    return PGCASK_OK;
}

/* Until it has ended: what it started and left behind may hold the pipes open for longer. */
static int
run_follow(struct run *run, int64_t timeout_ms)
{
    int64_t end_ms = run_now_ms() + timeout_ms;
    int rc = PGCASK_OK;

    while (rc == 0 && !run->ended) {
        run_wait(run);
        run_look(run);
        run_read(run, OUT);
        run_read(run, ERR);
        rc = run_check(run, end_ms);
    }
    if (!run->ended)
        run_kill(run);
    return rc;
}

/* The last line of what it said, "" when it said nothing. Cuts run->talk. */
static const char *
run_reason(struct run *run)
{
    char *line;

    aws_source_trim(run->talk);
    line = strrchr(run->talk, '\n');
    line = line != NULL ? line + 1 : run->talk;
    if (strlen(line) > REASON_BYTES)
        line[REASON_BYTES] = '\0';
    return line;
}

static int
run_judge(struct run *run)
{
    const char *reason = run_reason(run);
    const char *colon = *reason != '\0' ? ": " : "";

    if (run->status != -1 && WIFEXITED(run->status) && WEXITSTATUS(run->status) == 0)
        return PGCASK_OK;
    if (run->status == -1)
        pgcask_error("credential_process '%s' ended, nobody knows how%s%s", run->name, colon, reason);
    else if (WIFSIGNALED(run->status))
        pgcask_error("credential_process '%s' was ended by signal %d%s%s", run->name, WTERMSIG(run->status), colon,
                     reason);
    else
        pgcask_error("credential_process '%s' failed with exit code %d%s%s", run->name, WEXITSTATUS(run->status), colon,
                     reason);
    pgcask_hint("run it as the user that pgcask runs as");
    return PGCASK_FAILED;
}

int
aws_process_fetch(const char *command, int64_t timeout_ms, struct aws_grant *ret_grant)
{
    static const struct aws_document document = { .source = "credential_process",
                                                  .token_name = "SessionToken",
                                                  .versioned = true };
    char **words = aws_process_words(command);
    const char *slash = words != NULL ? strrchr(words[0], '/') : NULL;
    struct run run = { .fds = { -1, -1 } };
    int rc;

    if (words == NULL)
        return PGCASK_FAILED;
    run.name = slash != NULL ? slash + 1 : words[0];
    run.out = plain_zalloc(AWS_PROCESS_OUTPUT_BYTES);
    rc = run_start(words, &run);
    if (rc == 0)
        rc = run_follow(&run, timeout_ms);
    if (rc == 0)
        rc = run_judge(&run);
    if (rc == 0)
        rc = aws_source_document(&document, run.out, run.out_len, ret_grant);
    run_close(&run, OUT);
    run_close(&run, ERR);
    OPENSSL_cleanse(run.out, AWS_PROCESS_OUTPUT_BYTES);
    OPENSSL_cleanse(run.talk, sizeof run.talk);
    free(run.out);
    aws_process_words_free(words);
    return rc;
}
