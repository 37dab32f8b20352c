/* What an operator writes as an address: the bytes that the kernel gets, and what is none. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tend/address.h"

enum { PATH_ROOM = sizeof(((struct sockaddr_un *)0)->sun_path) };

/* The number and port, as the C library writes them: "127.0.0.1 80". */
static const char *shown(const struct address *a)
{
    static char text[INET6_ADDRSTRLEN + 8];
    const struct sockaddr_in6 *six = (const void *)&a->storage;
    const struct sockaddr_in *four = (const void *)&a->storage;
    bool is_six = a->any.sa_family == AF_INET6;
    char host[INET6_ADDRSTRLEN];

    assert_int_equal(a->length, is_six ? sizeof *six : sizeof *four);
    assert_non_null(is_six ? inet_ntop(AF_INET6, &six->sin6_addr, host, sizeof host)
                           : inet_ntop(AF_INET, &four->sin_addr, host, sizeof host));
    assert_int_equal(is_six ? six->sin6_scope_id : 0, 0);
    snprintf(text, sizeof text, "%s %d", host, ntohs(is_six ? six->sin6_port : four->sin_port));
    return text;
}

static struct address garbage(void)
{
    struct address a;

    memset(&a, 0x5a, sizeof a);
    return a;
}

/* What is refused leaves the address as it was. */
static void expect_untouched(const struct address *a)
{
    struct address before = garbage();

    assert_memory_equal(a, &before, sizeof before);
}

static void test_tcp(void **state)
{
    static const char *const good[][2] = {
        {"127.0.0.1:80", "127.0.0.1 80"},
        {"0.0.0.0:65535", "0.0.0.0 65535"},
        {"255.255.255.255:1", "255.255.255.255 1"},
        {"[::1]:5432", "::1 5432"},
        {"[::]:1", ":: 1"},
        {"[2001:db8:0:0:0:0:0:1]:80", "2001:db8::1 80"},
        {"[::ffff:10.0.0.1]:80", "::ffff:10.0.0.1 80"},
        {"[ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255]:65535",
         "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
        struct address a = garbage();
        assert_int_equal(address_tcp(good[i][0], &a), 0);
        assert_string_equal(shown(&a), good[i][1]);
    }
}

static void test_no_tcp(void **state)
{
    static const char *const bad[] = {
        "",
        ":",
        ":80",
        "80",
        "127.0.0.1",
        "127.0.0.1:",
        "127.0.0.1:0",
        "127.0.0.1:080",
        "127.0.0.1:65536",
        "127.0.0.1:4294967376",
        "127.0.0.1:99999999999999999999",
        "127.0.0.1:-1",
        "127.0.0.1:+80",
        "127.0.0.1: 80",
        "127.0.0.1:80 ",
        " 127.0.0.1:80",
        "127.0.0.1 :80",
        "127.0.0.1:80/",
        "127.0.0.1:80:80",
        "127.0.0.1:http",
        "127.0.0.1/:80",
        "127.1:80",
        "127.0.0.01:80",
        "256.0.0.1:80",
        "0x7f.0.0.1:80",
        "1.2.3.4.5:80",
        "localhost:80",
        "*:80",
        "::1:80",
        "[::1]",
        "[::1]80",
        "[::1]:",
        "[::1:80",
        "[]:80",
        "[",
        "[]",
        "]:80",
        "[[::1]]:80",
        "[::1]]:80",
        "[::1%lo]:80",
        "[::1%1]:80",
        "[127.0.0.1]:80",
        "[12345::1]:80",
        "[1:2:3:4:5:6:7:8:9]:80",
        "[ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.2555]:65535",
        "/run/x",
        "http://127.0.0.1:80",
        "127.0.0.1:80\n",
        "127.0.0.\xef\xbc\x91:80",
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        struct address a = garbage();
        assert_int_equal(address_tcp(bad[i], &a), -1);
        expect_untouched(&a);
    }
}

static void test_unix(void **state)
{
    struct address a = garbage();

    (void)state;
    assert_int_equal(address_unix("/run/x.sock", &a), 0);
    assert_int_equal(a.any.sa_family, AF_UNIX);
    assert_string_equal(a.local.sun_path, "/run/x.sock");
    assert_int_equal(a.length, offsetof(struct sockaddr_un, sun_path) + sizeof "/run/x.sock");
    a = garbage();
    assert_int_equal(address_unix("@tend x", &a), 0);
    assert_int_equal(a.any.sa_family, AF_UNIX);
    assert_memory_equal(a.local.sun_path, "\0tend x", 7);
    assert_int_equal(a.length, offsetof(struct sockaddr_un, sun_path) + 7);
}

static void test_no_unix(void **state)
{
    static const char *const bad[] = {"", "x", "x/y", "./x", "~/x", " /x", "@", "/", "unix:/x"};

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        struct address a = garbage();
        assert_int_equal(address_unix(bad[i], &a), -1);
        expect_untouched(&a);
    }
}

/* A path and its NUL fill the room; an abstract name needs no NUL. */
static void test_longest_unix(void **state)
{
    char text[PATH_ROOM + 2];
    struct address a = garbage();

    (void)state;
    memset(text, 'x', sizeof text);
    text[PATH_ROOM] = '\0';
    text[0] = '@';
    assert_int_equal(address_unix(text, &a), 0);
    assert_int_equal(a.length, sizeof a.local);
    assert_int_equal(a.local.sun_path[PATH_ROOM - 1], 'x');
    a = garbage();
    text[0] = '/';
    assert_int_equal(address_unix(text, &a), -1);
    expect_untouched(&a);
    text[PATH_ROOM - 1] = '\0';
    assert_int_equal(address_unix(text, &a), 0);
    assert_int_equal(a.length, sizeof a.local);
    assert_string_equal(a.local.sun_path, text);
    text[0] = '@';
    text[PATH_ROOM - 1] = 'x';
    text[PATH_ROOM] = 'x';
    text[PATH_ROOM + 1] = '\0';
    assert_int_equal(address_unix(text, &a), -1);
}

static void test_http(void **state)
{
    static const char *const good[][3] = {
        {"http://127.0.0.1", "127.0.0.1 80", ""},
        {"http://127.0.0.1/", "127.0.0.1 80", "/"},
        {"http://127.0.0.1:8080", "127.0.0.1 8080", ""},
        {"http://127.0.0.1:8080/health", "127.0.0.1 8080", "/health"},
        {"http://127.0.0.1/a:81/b", "127.0.0.1 80", "/a:81/b"},
        {"http://[::1]", "::1 80", ""},
        {"http://[::1]/x?y=[1]&z=%20", "::1 80", "/x?y=[1]&z=%20"},
        {"http://[::1]:65535//", "::1 65535", "//"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
        struct address a = garbage();
        const char *path = NULL;
        assert_int_equal(address_http(good[i][0], &a, &path), 0);
        assert_string_equal(shown(&a), good[i][1]);
        assert_string_equal(path, good[i][2]);
        /* Into the text itself. */
        assert_ptr_equal(path, good[i][0] + strlen(good[i][0]) - strlen(path));
    }
}

static void test_no_http(void **state)
{
    static const char *const bad[] = {
        "",
        "http:",
        "http://",
        "http:///",
        "http://:80/",
        "127.0.0.1:80/",
        "HTTP://127.0.0.1/",
        "https://127.0.0.1/",
        "ftp://127.0.0.1/",
        " http://127.0.0.1/",
        "http://localhost/",
        "http://user@127.0.0.1/",
        "http://127.0.0.1:/",
        "http://127.0.0.1:0/",
        "http://127.0.0.1:65536/",
        "http://127.0.0.1:80x",
        "http://127.0.0.1?x",
        "http://127.0.0.1:80?x",
        "http://127.0.0.1#x",
        "http://127.0.0.1/#x",
        "http://127.0.0.1/a b",
        "http://127.0.0.1/\r\nHost: x",
        "http://127.0.0.1/\x7f",
        "http://127.0.0.1/\xc3\xa9",
        "http://127.0.0.1/\t",
        "http://[::1/",
        "http://[::1]x/",
        "http://::1/",
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        struct address a = garbage();
        const char *path = "before";
        assert_int_equal(address_http(bad[i], &a, &path), -1);
        assert_string_equal(path, "before");
        expect_untouched(&a);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tcp),          cmocka_unit_test(test_no_tcp),
        cmocka_unit_test(test_unix),         cmocka_unit_test(test_no_unix),
        cmocka_unit_test(test_longest_unix), cmocka_unit_test(test_http),
        cmocka_unit_test(test_no_http),
    };

    return cmocka_run_group_tests_name("address", tests, NULL, NULL);
}
