/* The load of the benchmark: senders, a sink that throws all away, a reader that takes the time, a checker.
 *
 *   load sink PORT                                   read what comes and forget it
 *   load connect PORT COUNT AT_ONCE SECONDS          COUNT connections of one line each, AT_ONCE open
 *   load lines PORT SENDERS LINES BLOCK              each sender its lines; one send(2) for BLOCK of them
 *   load hold PORT SENDERS SECONDS                   connect and be silent; told "go", a line a second each
 *   load pace PORT SENDERS RATE SECONDS              RATE lines/s in all, each stamped when it is sent
 *   load fleet PORT SENDERS RATE SECONDS             the same in no order, each sender from an address of its own
 *   load datagrams PORT SENDERS RATE SECONDS         RATE of one line a second in all, of SENDERS addresses
 *   load follow FILE LINES SECONDS                   read FILE as it grows, and the age of its stamped lines
 *   load check FILE SENDERS LINES SKIP               what FILE lacks of them, SKIP bytes left out, and what else it has
 *
 * A line is 100 bytes: its sender, its number, the time of its send(2) or zero (nanoseconds, CLOCK_MONOTONIC),
 * filling that both tell, a newline. So a checker knows each line that may be there, byte for byte.
 * Every command prints one JSON object. Senders leave TCP as it is: Nagle's algorithm is on.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { LINE = 100, SENDER_AT = 0, NUMBER_AT = 8, TIME_AT = 19, FILL_AT = 39, BUFFER = 1 << 20 };
#define NS 1000000000ull

static void die(const char *what) {
    fprintf(stderr, "load: %s: %s\n", what, strerror(errno));
    exit(1);
}

static uint64_t now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * NS + t.tv_nsec;
}

static void sleep_until(uint64_t when) {
    struct timespec t = {when / NS, when % NS};
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL) == EINTR) {}
}

/* -- lines ------------------------------------------------------------------------------------------- */

static void digits(char *at, int count, uint64_t value) {
    while (count--) {
        at[count] = '0' + value % 10;
        value /= 10;
    }
}

static int number(const char *at, int count, uint64_t *value) {
    *value = 0;
    while (count--) {
        if (*at < '0' || *at > '9') return 0;
        *value = *value * 10 + (*at++ - '0');
    }
    return 1;
}

static void make_line(char *line, uint64_t sender, uint64_t which, uint64_t when) {
    digits(line + SENDER_AT, 7, sender);
    line[SENDER_AT + 7] = ' ';
    digits(line + NUMBER_AT, 10, which);
    line[NUMBER_AT + 10] = ' ';
    digits(line + TIME_AT, 19, when);
    line[TIME_AT + 19] = ' ';
    memset(line + FILL_AT, 'a' + (sender * 7 + which) % 26, LINE - FILL_AT - 1);
    line[LINE - 1] = '\n';
}

/* -- sockets ----------------------------------------------------------------------------------------- */

static int new_socket(int flags) {
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | flags, 0);
    if (fd < 0) die("socket");
    return fd;
}

static struct sockaddr_in target(int port) {
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(port)};
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return to;
}

/* The whole of 127.0.0.0/8 is this machine's. */
static struct sockaddr_in address_of(int sender) {
    struct sockaddr_in from = {.sin_family = AF_INET};
    from.sin_addr.s_addr = htonl(0x7f010001u + sender / 250 * 256 + sender % 250);
    return from;
}

static int connected_from(struct sockaddr_in from, int port) {
    struct sockaddr_in to = target(port);
    int fd = new_socket(0);
    if (bind(fd, (struct sockaddr *)&from, sizeof from)) die("bind");
    if (connect(fd, (struct sockaddr *)&to, sizeof to)) die("connect");
    return fd;
}

static int connected(int port) {
    struct sockaddr_in to = target(port);
    int fd = new_socket(0);
    if (connect(fd, (struct sockaddr *)&to, sizeof to)) die("connect");
    return fd;
}

static void send_all(int fd, const char *data, size_t size) {
    while (size) {
        ssize_t sent = send(fd, data, size, MSG_NOSIGNAL);
        if (sent < 0) {
            if (errno == EINTR) continue;
            die("send");
        }
        data += sent;
        size -= sent;
    }
}

/* -- sink -------------------------------------------------------------------------------------------- */

_Noreturn static void sink(int port) {
    static char buffer[BUFFER];
    struct sockaddr_in at = target(port);
    int yes = 1, listening = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), epoll = epoll_create1(0);
    setsockopt(listening, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    if (bind(listening, (struct sockaddr *)&at, sizeof at) || listen(listening, 4096)) die("listen");
    struct epoll_event event = {.events = EPOLLIN, .data.fd = listening}, ready[256];
    epoll_ctl(epoll, EPOLL_CTL_ADD, listening, &event);
    printf("ready\n");
    fflush(stdout);
    for (;;) {
        int count = epoll_wait(epoll, ready, 256, -1);
        for (int i = 0; i < count; i++) {
            int fd = ready[i].data.fd;
            if (fd != listening) {
                if (recv(fd, buffer, BUFFER, 0) <= 0) close(fd);
                continue;
            }
            while ((fd = accept4(listening, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
                ssize_t got;
                while ((got = recv(fd, buffer, BUFFER, 0)) > 0) {}
                if (got == 0) {
                    close(fd);
                } else {
                    event.data.fd = fd;
                    epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event);
                }
            }
        }
    }
}

/* -- connect ----------------------------------------------------------------------------------------- */

static int do_connect(int port, uint64_t count, int at_once, double seconds) {
    struct sockaddr_in to = target(port);
    struct pollfd *slots = calloc(at_once, sizeof *slots);
    uint64_t *who = calloc(at_once, sizeof *who);
    char *up = calloc(at_once, 1), line[LINE];
    uint64_t next = 0, done = 0, failed = 0, began = now(), until = began + (uint64_t)(seconds * NS);
    int open = 0;
    for (int i = 0; i < at_once; i++) slots[i].fd = -1;
    /* Each pass opens what may be open, then lets each that is connected say its line and go. */
    while (open || (next < count && now() < until)) {
        int moved = 0;
        for (int i = 0; i < at_once && next < count && now() < until; i++) {
            if (slots[i].fd >= 0) continue;
            who[i] = next++;
            slots[i].fd = new_socket(SOCK_NONBLOCK);
            slots[i].events = POLLOUT;
            up[i] = connect(slots[i].fd, (struct sockaddr *)&to, sizeof to) == 0;
            if (!up[i] && errno != EINPROGRESS) up[i] = 2;
            open++;
        }
        for (int i = 0; i < at_once; i++) {
            if (slots[i].fd < 0 || !up[i]) continue;
            make_line(line, who[i], 0, 0);
            if (up[i] == 2 || send(slots[i].fd, line, LINE, MSG_NOSIGNAL) != LINE) failed++;
            else done++;
            close(slots[i].fd);
            slots[i].fd = -1;
            up[i] = 0;
            open--;
            moved = 1;
        }
        if (!open || moved) continue;
        if (now() > until + 3 * NS) break; /* they hang: who waits so long has given up */
        poll(slots, at_once, 100);
        for (int i = 0; i < at_once; i++) up[i] = slots[i].fd >= 0 && slots[i].revents != 0;
    }
    printf("{\"began\": %.6f, \"ended\": %.6f, \"sent\": %" PRIu64 ", \"tried\": %" PRIu64 ", \"failed\": %" PRIu64
           "}\n", began / 1e9, now() / 1e9, done, next, failed);
    return 0;
}

/* -- lines ------------------------------------------------------------------------------------------- */

struct share {
    int port, senders, first, step, block;
    uint64_t lines;
    pthread_barrier_t *start;
};

static void *send_share(void *of) {
    struct share *my = of;
    int count = (my->senders - my->first + my->step - 1) / my->step, *fds = calloc(count, sizeof *fds);
    char *text = malloc((size_t)my->block * LINE);
    for (int i = 0; i < count; i++) fds[i] = connected(my->port);
    pthread_barrier_wait(my->start);
    for (uint64_t at = 0; at < my->lines; at += my->block) {
        int here = my->lines - at < (uint64_t)my->block ? (int)(my->lines - at) : my->block;
        for (int i = 0; i < count; i++) {
            for (int n = 0; n < here; n++) make_line(text + n * LINE, my->first + i * my->step, at + n, 0);
            send_all(fds[i], text, (size_t)here * LINE);
        }
    }
    for (int i = 0; i < count; i++) close(fds[i]);
    free(fds);
    free(text);
    return NULL;
}

static int do_lines(int port, int senders, uint64_t lines, int block) {
    int threads = senders < 8 ? senders : 8;
    pthread_barrier_t start;
    pthread_barrier_init(&start, NULL, threads + 1);
    pthread_t ids[8];
    struct share shares[8];
    for (int i = 0; i < threads; i++) {
        shares[i] = (struct share){port, senders, i, threads, block, lines, &start};
        pthread_create(&ids[i], NULL, send_share, &shares[i]);
    }
    pthread_barrier_wait(&start);
    uint64_t began = now();
    for (int i = 0; i < threads; i++) pthread_join(ids[i], NULL);
    printf("{\"began\": %.6f, \"ended\": %.6f, \"sent\": %" PRIu64 "}\n", began / 1e9, now() / 1e9, senders * lines);
    return 0;
}

/* -- hold -------------------------------------------------------------------------------------------- */

static int hold(int port, int senders, int seconds) {
    int *fds = calloc(senders, sizeof *fds);
    char line[LINE], word[16];
    uint64_t pause = 0;
    for (int i = 0; i < senders; i++) {
        uint64_t asked = now();
        fds[i] = connected(port);
        /* A full queue costs a second or more: who has a short one is given time. */
        if (now() - asked > NS / 2) pause = pause ? 2 * pause : NS / 1000;
        if (pause) sleep_until(now() + pause);
    }
    printf("ready\n");
    fflush(stdout);
    if (!fgets(word, sizeof word, stdin)) return 1;
    uint64_t began = now();
    for (uint64_t which = 0; which < (uint64_t)seconds; which++)
        for (int i = 0; i < senders; i++) {
            uint64_t due = began + which * NS + NS * i / senders;
            if (due > now() + 500000) sleep_until(due); /* finer than half a millisecond, nobody looks */
            make_line(line, i, which, 0);
            send_all(fds[i], line, LINE);
        }
    printf("{\"began\": %.6f, \"ended\": %.6f, \"sent\": %d}\n", began / 1e9, now() / 1e9, senders * seconds);
    fflush(stdout);
    fgets(word, sizeof word, stdin); /* stays connected until told */
    return 0;
}

/* -- latency ----------------------------------------------------------------------------------------- */

static void shuffle(int *order, int count) {
    static uint64_t random = 88172645463325252ull; /* Marsaglia's xorshift64 */
    while (count > 1) {
        random ^= random << 13, random ^= random >> 7, random ^= random << 17;
        int other = random % count--, was = order[count];
        order[count] = order[other];
        order[other] = was;
    }
}

static int pace(int port, int senders, uint64_t rate, double seconds, int apart) {
    int *fds = calloc(senders, sizeof *fds), *order = calloc(senders, sizeof *order);
    char line[LINE];
    for (int i = 0; i < senders; i++) fds[i] = apart ? connected_from(address_of(i), port) : connected(port);
    for (int i = 0; i < senders; i++) order[i] = i;
    uint64_t count = rate * seconds, began = now();
    for (uint64_t n = 0; n < count; n++) {
        uint64_t due = began + n * NS / rate;
        if (due > now() + (apart ? 500000 : 0)) sleep_until(due); /* they share a core with what is measured */
        if (apart && n % senders == 0) shuffle(order, senders);
        int sender = order[n % senders];
        make_line(line, sender, n / senders, now());
        send_all(fds[sender], line, LINE);
    }
    printf("{\"began\": %.6f, \"ended\": %.6f, \"sent\": %" PRIu64 "}\n", began / 1e9, now() / 1e9, count);
    return 0;
}

static int datagrams(int port, int senders, uint64_t rate, double seconds) {
    int *fds = calloc(senders, sizeof *fds);
    char line[LINE];
    struct sockaddr_in to = target(port);
    for (int i = 0; i < senders; i++) {
        struct sockaddr_in from = address_of(i);
        fds[i] = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        if (fds[i] < 0 || bind(fds[i], (struct sockaddr *)&from, sizeof from)) die("bind");
        if (connect(fds[i], (struct sockaddr *)&to, sizeof to)) die("connect");
    }
    uint64_t count = rate * seconds, sent = 0, began = now(), ends = began + (uint64_t)(seconds * NS);
    for (uint64_t n = 0; n < count && now() < ends; n++, sent++) {
        uint64_t due = began + n * NS / rate;
        if (due > now()) sleep_until(due);
        make_line(line, n % senders, n / senders, 0);
        if (send(fds[n % senders], line, LINE, MSG_NOSIGNAL) != LINE) die("send");
    }
    printf("{\"began\": %.6f, \"ended\": %.6f, \"sent\": %" PRIu64 "}\n", began / 1e9, now() / 1e9, sent);
    return 0;
}

static int ascending(const void *one, const void *other) {
    uint64_t a = *(const uint64_t *)one, b = *(const uint64_t *)other;
    return (a > b) - (a < b);
}

static int follow(const char *path, uint64_t lines, double seconds) {
    static char buffer[BUFFER];
    char events[4096];
    int fd = open(path, O_RDONLY | O_CREAT | O_CLOEXEC, 0600), notify = inotify_init1(IN_NONBLOCK);
    if (fd < 0 || notify < 0 || inotify_add_watch(notify, path, IN_MODIFY) < 0) die(path);
    lseek(fd, 0, SEEK_END);
    uint64_t *ages = malloc(lines * sizeof *ages), count = 0, until = now() + (uint64_t)(seconds * NS);
    size_t held = 0;
    struct pollfd waits = {.fd = notify, .events = POLLIN};
    printf("ready\n");
    fflush(stdout);
    while (count < lines && now() < until) {
        if (poll(&waits, 1, 200) > 0)
            while (read(notify, events, sizeof events) > 0) {}
        ssize_t got;
        while ((got = read(fd, buffer + held, BUFFER - held)) > 0) {
            uint64_t seen = now();
            size_t size = held + got, at = 0;
            for (; at + LINE <= size && count < lines; at += LINE) {
                uint64_t sent;
                while (at + LINE <= size && (buffer[at + LINE - 1] != '\n' || !number(buffer + at + TIME_AT, 19, &sent)))
                    at++; /* no line of ours: a probe's, or a torn one */
                if (at + LINE <= size) ages[count++] = seen - sent;
            }
            held = size > at ? size - at : 0;
            memmove(buffer, buffer + at, held);
        }
    }
    qsort(ages, count, sizeof *ages, ascending);
    double percentiles[4] = {0.5, 0.99, 0.999, 1.0}, ms[4] = {0};
    for (int i = 0; i < 4 && count; i++) {
        uint64_t at = (uint64_t)(percentiles[i] * count);
        ms[i] = ages[at < count ? at : count - 1] / 1e6;
    }
    printf("{\"lines\": %" PRIu64 ", \"p50_ms\": %.3f, \"p99_ms\": %.3f, \"p999_ms\": %.3f, \"max_ms\": %.3f}\n", count,
           ms[0], ms[1], ms[2], ms[3]);
    return 0;
}

/* -- check ------------------------------------------------------------------------------------------- */

static int check(const char *path, uint64_t senders, uint64_t lines, size_t skip) {
    int fd = open(path, O_RDONLY);
    struct stat about;
    if (fd < 0 || fstat(fd, &about)) die(path);
    size_t size = about.st_size;
    const char *text = size ? mmap(NULL, size, PROT_READ, MAP_PRIVATE | MAP_POPULATE, fd, 0) : "";
    if (text == MAP_FAILED) die("mmap");
    unsigned char *seen = calloc(senders * lines / 8 + 1, 1);
    uint64_t *last = calloc(senders, sizeof *last);
    uint64_t whole = 0, doubled = 0, torn = 0, disordered = 0;
    for (size_t at = skip; at < size;) {
        const char *end = memchr(text + at, '\n', size - at);
        size_t length = end ? (size_t)(end + 1 - (text + at)) : size - at;
        uint64_t sender, which, when;
        char line[LINE];
        int good = length == LINE && number(text + at + SENDER_AT, 7, &sender) &&
                   number(text + at + NUMBER_AT, 10, &which) && number(text + at + TIME_AT, 19, &when) &&
                   sender < senders && which < lines;
        if (good) {
            make_line(line, sender, which, when);
            good = !memcmp(line, text + at, LINE);
        }
        if (!good) {
            torn++;
        } else {
            uint64_t bit = sender * lines + which;
            if (seen[bit / 8] & 1 << bit % 8) doubled++;
            else whole++;
            seen[bit / 8] |= 1 << bit % 8;
            if (which < last[sender]) disordered++;
            last[sender] = which;
        }
        at += length;
    }
    printf("{\"whole\": %" PRIu64 ", \"doubled\": %" PRIu64 ", \"torn\": %" PRIu64 ", \"disordered\": %" PRIu64 "}\n",
           whole, doubled, torn, disordered);
    return 0;
}

int main(int argc, char **argv) {
    struct rlimit files;
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    signal(SIGPIPE, SIG_IGN);
#define IS(name, words) (argc == words + 2 && !strcmp(argv[1], name))
    if (IS("sink", 1)) sink(atoi(argv[2]));
    if (IS("connect", 4)) return do_connect(atoi(argv[2]), atoll(argv[3]), atoi(argv[4]), atof(argv[5]));
    if (IS("lines", 4)) return do_lines(atoi(argv[2]), atoi(argv[3]), atoll(argv[4]), atoi(argv[5]));
    if (IS("hold", 3)) return hold(atoi(argv[2]), atoi(argv[3]), atoi(argv[4]));
    if (IS("pace", 4)) return pace(atoi(argv[2]), atoi(argv[3]), atoll(argv[4]), atof(argv[5]), 0);
    if (IS("fleet", 4)) return pace(atoi(argv[2]), atoi(argv[3]), atoll(argv[4]), atof(argv[5]), 1);
    if (IS("datagrams", 4)) return datagrams(atoi(argv[2]), atoi(argv[3]), atoll(argv[4]), atof(argv[5]));
    if (IS("follow", 3)) return follow(argv[2], atoll(argv[3]), atof(argv[4]));
    if (IS("check", 4)) return check(argv[2], atoll(argv[3]), atoll(argv[4]), atoll(argv[5]));
    fprintf(stderr, "load: see the first lines of load.c for its commands\n");
    return 2;
}
