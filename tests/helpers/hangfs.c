/* hangfs DIR FILE COMMAND...: runs the command where DIR is a file system that answers nothing. Who
 * asks it for anything waits in state D, and KILL does not end that: the request was read
 * (fuse(4)). Only the end of the process whose pid is in FILE does. */
#include <fcntl.h>
#include <linux/fuse.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

static void fail(const char *what)
{
    perror(what);
    exit(125);
}

/* Without an answer to its first message the kernel would not send another. */
static void answer_first(int fd)
{
    static char message[65536];
    const struct fuse_in_header *in = (const void *)message;
    struct {
        struct fuse_out_header header;
        struct fuse_init_out body;
    } out = {.body = {.major = FUSE_KERNEL_VERSION, .minor = 31, .max_write = 4096}};

    if (read(fd, message, sizeof message) < (ssize_t)sizeof *in)
        fail("first message");
    out.header = (struct fuse_out_header){.len = sizeof out, .unique = in->unique};
    if (write(fd, &out, sizeof out) != (ssize_t)sizeof out)
        fail("first answer");
}

static void serve(int fd, const char *file)
{
    static char message[65536];
    FILE *pid = fopen(file, "w");

    if (!pid || fprintf(pid, "%d\n", (int)getpid()) < 0 || fclose(pid))
        fail(file);
    answer_first(fd);
    while (read(fd, message, sizeof message) >= 0)
        ;
    exit(0);
}

int main(int argc, char **argv)
{
    char options[80];
    int fd = open("/dev/fuse", O_RDWR | O_CLOEXEC);
    pid_t middle;

    if (argc < 4 || fd < 0)
        fail("/dev/fuse");
    snprintf(options, sizeof options, "fd=%d,rootmode=40000,user_id=0,group_id=0", fd);
    if (unshare(CLONE_NEWNS) || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
        mount("hangfs", argv[1], "fuse", MS_NOSUID | MS_NODEV, options))
        fail("mount");
    middle = fork();
    if (middle == 0) { /* the one that serves is nobody's child here */
        if (fork() == 0)
            serve(fd, argv[2]);
        _exit(0);
    }
    waitpid(middle, NULL, 0);
    execv(argv[3], argv + 3);
    fail(argv[3]);
}
