/* SPDX-License-Identifier: PostgreSQL */
#include "config.h"

#include "base/cancel.h"
#include "base/error.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/process.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

enum { PIPE_BYTES = 1024 * 1024, PASS_FD = 3 };

extern char **environ;

static struct {
    pthread_mutex_t lock;
    pid_t *pids;
    size_t len, cap;
} running = { .lock = PTHREAD_MUTEX_INITIALIZER };

static void
running_add(pid_t pid)
{
    (void)pthread_mutex_lock(&running.lock);
    MEM_GROW(running.pids, running.len, running.cap);
    running.pids[running.len++] = pid;
    (void)pthread_mutex_unlock(&running.lock);
}

static void
running_drop(pid_t pid)
{
    (void)pthread_mutex_lock(&running.lock);
    for (size_t i = 0; i < running.len; i++)
        if (running.pids[i] == pid) {
            running.pids[i] = running.pids[--running.len];
            break;
        }
    if (running.len == 0) {
        free(running.pids);
        running.pids = NULL;
        running.cap = 0;
    }
    (void)pthread_mutex_unlock(&running.lock);
}

void
process_kill_all(void)
{
    (void)pthread_mutex_lock(&running.lock);
    for (size_t i = 0; i < running.len; i++)
        (void)kill(running.pids[i], SIGTERM); /* it may have ended by itself; it is not reaped before running_drop */
    (void)pthread_mutex_unlock(&running.lock);
}

/* Our environment with the additions in front: the first of two equal names wins in getenv. */
static char **
process_environment(const char *const *additions)
{
    size_t count = 0, len = 0;
    char **env;

    while (environ[count] != NULL)
        count++;
    for (len = 0; additions != NULL && additions[len] != NULL; len++)
        ;
    env = mem_realloc_array(NULL, count + len + 1, sizeof *env);
    if (len > 0)
        memcpy(env, additions, len * sizeof *env);
    for (size_t i = 0; i < count; i++) {
        size_t name = strcspn(environ[i], "=") + 1;
        bool replaced = false;

        for (size_t j = 0; additions != NULL && additions[j] != NULL; j++)
            if (strncmp(additions[j], environ[i], name) == 0)
                replaced = true;
        if (!replaced)
            env[len++] = environ[i];
    }
    env[len] = NULL;
    return env;
}

struct ends {
    int ours, theirs;
};

/* One standard stream of the child. `read_end` is the number of the end the child gets. */
static int
ends_open(enum process_stream kind, int child_end, struct ends *ret_ends)
{
    int pair[2];

    ret_ends->ours = ret_ends->theirs = -1;
    if (kind == PROCESS_KEEP)
        return 0;
    if (kind == PROCESS_NULL) {
        ret_ends->theirs = open("/dev/null", O_RDWR | O_CLOEXEC);
        return ret_ends->theirs < 0 ? error_errno(PGCASK_FAILED, "could not open '/dev/null'") : 0;
    }
    if (pipe2(pair, O_CLOEXEC) < 0)
        return error_errno(PGCASK_FAILED, "could not make a pipe");
    /* pg_dump writes 4 KiB at a time: a roomy pipe lets both sides run on. Over the user's limit it stays small. */
    (void)fcntl(pair[0], F_SETPIPE_SZ, PIPE_BYTES);
    ret_ends->theirs = pair[child_end];
    ret_ends->ours = pair[!child_end];
    return 0;
}

static int
process_spawn(const struct process_spec *spec, int in, int out, int err, pid_t *ret_pid)
{
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    sigset_t none, defaults;
    CLEANUP_FREE char **env = process_environment(spec->env);
    int rc;

    (void)posix_spawn_file_actions_init(&actions);
    (void)posix_spawnattr_init(&attributes);
    if (in >= 0)
        (void)posix_spawn_file_actions_adddup2(&actions, in, STDIN_FILENO);
    if (out >= 0)
        (void)posix_spawn_file_actions_adddup2(&actions, out, STDOUT_FILENO);
    (void)posix_spawn_file_actions_adddup2(&actions, err, STDERR_FILENO);
    if (spec->pass_fd > 0)
        (void)posix_spawn_file_actions_adddup2(&actions, spec->pass_fd, PASS_FD);
    /* our threads block signals and ignore these two: the child must not */
    (void)sigemptyset(&none);
    (void)sigemptyset(&defaults);
    (void)sigaddset(&defaults, SIGPIPE);
    (void)sigaddset(&defaults, SIGXFSZ);
    (void)posix_spawnattr_setsigmask(&attributes, &none);
    (void)posix_spawnattr_setsigdefault(&attributes, &defaults);
    (void)posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    rc = posix_spawnp(ret_pid, spec->argv[0], &actions, &attributes, (char *const *)spec->argv, env);
    (void)posix_spawn_file_actions_destroy(&actions);
    (void)posix_spawnattr_destroy(&attributes);
    if (rc == 0)
        return 0;
    errno = rc;
    return error_errno(PGCASK_FAILED, "could not start '%s'", spec->argv[0]);
}

int
process_start(const struct process_spec *spec, struct process *ret_process)
{
    struct ends in, out;
    const char *slash = strrchr(spec->argv[0], '/');
    CLEANUP_FD int in_ours = -1, in_theirs = -1, out_ours = -1, out_theirs = -1, err = -1;
    pid_t pid;
    int rc;

    rc = ends_open(spec->in, 0, &in);
    if (rc < 0)
        return rc;
    in_ours = in.ours;
    in_theirs = in.theirs;
    rc = ends_open(spec->out, 1, &out);
    if (rc < 0)
        return rc;
    out_ours = out.ours;
    out_theirs = out.theirs;
    err = memfd_create("stderr", MFD_CLOEXEC);
    if (err < 0)
        return error_errno(PGCASK_FAILED, "could not make a buffer for the output of '%s'", spec->argv[0]);
    rc = process_spawn(spec, in_theirs, out_theirs, err, &pid);
    if (rc < 0)
        return rc;
    running_add(pid);
    if (cancel_requested())
        (void)kill(pid, SIGTERM); /* process_kill_all may have come before it was in the list */
    ret_process->pid = pid;
    ret_process->in_fd = steal_fd(&in_ours);
    ret_process->out_fd = steal_fd(&out_ours);
    ret_process->err_fd = steal_fd(&err);
    ret_process->name = mem_strdup(slash ? slash + 1 : spec->argv[0]);
    return 0;
}

static void
close_and_forget(int *fd)
{
    cleanup_close(fd);
    *fd = -1;
}

static char *
process_talk(int err_fd)
{
    char *text = mem_zalloc(PROCESS_TALK_LIMIT_BYTES + 1);
    ssize_t len = pread(err_fd, text, PROCESS_TALK_LIMIT_BYTES, 0);

    if (len < 0)
        len = 0;
    while (len > 0 && (text[len - 1] == '\n' || text[len - 1] == '\0'))
        len--;
    text[len] = '\0';
    return text;
}

int
process_end(struct process *process, char **ret_talk)
{
    siginfo_t info;
    int status = 0;

    close_and_forget(&process->in_fd);
    close_and_forget(&process->out_fd);
    /* first wait without reaping, so that process_kill_all cannot hit a pid that was given to somebody else */
    while (waitid(P_PID, (id_t)process->pid, &info, WEXITED | WNOWAIT) < 0 && errno == EINTR)
        ;
    running_drop(process->pid);
    while (waitpid(process->pid, &status, 0) < 0 && errno == EINTR)
        ;
    if (ret_talk != NULL)
        *ret_talk = process_talk(process->err_fd);
    close_and_forget(&process->err_fd);
    free(STEAL(process->name));
    process->pid = 0;
    return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

int
process_finish(struct process *process)
{
    CLEANUP_FREE char *name = mem_strdup(process->name);
    CLEANUP_FREE char *talk = NULL;
    int code = process_end(process, &talk);

    if (code > 128 && code <= 128 + SIGRTMAX) /* ssh exits with 255 by itself */
        return error_set(PGCASK_FAILED, "%s was ended by signal %d%s%s", name, code - 128, *talk ? ": " : "", talk);
    if (code != 0)
        return error_set(PGCASK_FAILED, "%s failed with exit code %d: %s", name, code, *talk ? talk : "it gave no reason");
    if (*talk != '\0')
        log_debug("%s: %s", name, talk);
    return 0;
}

void
process_kill(struct process *process)
{
    if (process->pid == 0)
        return;
    (void)kill(process->pid, SIGTERM); /* not reaped yet, so the pid is still its own */
    (void)process_end(process, NULL);
}

int
process_output(const struct process_spec *spec, struct buf *ret_out)
{
    struct process_spec piped = *spec;
    struct process process = { 0 };
    int rc, end;

    piped.out = PROCESS_PIPE;
    rc = process_start(&piped, &process);
    if (rc < 0)
        return rc;
    rc = file_read_fd(process.out_fd, spec->argv[0], ret_out);
    if (rc < 0) {
        process_kill(&process);
        return rc;
    }
    end = process_finish(&process);
    return end;
}
