/*
 * Asks the C library of the Grid Community Toolkit what it makes of RSL texts. For tests/stock.rs.
 *
 * stdin:  records of 4 bytes length (big-endian) and text.
 * stdout: one line for each: "error" (syntax), "crash", or three fields in hex:
 *         printed, printed after canonicalising names, printed after evaluation with HOME=/home/u LOGNAME=u;
 *         "-" for a field the library refuses.
 * With the argument "time N": one record; prints nanoseconds for one parse, the mean of N.
 */
#include <globus_common.h>
#include <globus_rsl.h>
#include <globus_rsl_assist.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static void field(char *text, const char *end)
{
    if (text == NULL) {
        fputs("-", stdout);
    } else {
        fputs("x", stdout);
        for (unsigned char *byte = (unsigned char *) text; *byte != 0; byte++) {
            printf("%02x", *byte);
        }
    }
    fputs(end, stdout);
}

static void judge(char *text)
{
    globus_rsl_t *spec = globus_rsl_parse(text);
    if (spec == NULL) {
        puts("error");
        return;
    }
    field(globus_rsl_unparse(spec), " ");
    globus_rsl_t *canonical = globus_rsl_copy_recursive(spec);
    globus_rsl_assist_attributes_canonicalize(canonical);
    field(globus_rsl_unparse(canonical), " ");

    globus_symboltable_t symbols;
    globus_symboltable_init(&symbols, globus_hashtable_string_hash, globus_hashtable_string_keyeq);
    globus_symboltable_create_scope(&symbols);
    globus_symboltable_insert(&symbols, "HOME", "/home/u");
    globus_symboltable_insert(&symbols, "LOGNAME", "u");
    field(globus_rsl_eval(spec, &symbols) == 0 ? globus_rsl_unparse(spec) : NULL, "\n");
}

static void judge_apart(char *text)
{
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        judge(text);
        fflush(stdout);
        _exit(0);
    }
    int status = 0;
    waitpid(child, &status, 0);
    if (status != 0) {
        puts("crash");
    }
}

static void measure(char *text, long repetitions)
{
    struct timespec start, end;
    clock_gettime(CLOCK_MONOTONIC, &start);
    for (long i = 0; i < repetitions; i++) {
        globus_rsl_free_recursive(globus_rsl_parse(text));
    }
    clock_gettime(CLOCK_MONOTONIC, &end);
    double nanoseconds = 1e9 * (end.tv_sec - start.tv_sec) + (end.tv_nsec - start.tv_nsec);
    printf("%.0f\n", nanoseconds / repetitions);
}

int main(int argc, char **argv)
{
    unsigned char length[4];
    globus_module_activate(GLOBUS_RSL_MODULE);
    while (fread(length, 1, 4, stdin) == 4) {
        size_t size = (size_t) length[0] << 24 | length[1] << 16 | length[2] << 8 | length[3];
        char *text = calloc(size + 1, 1);
        if (text == NULL || fread(text, 1, size, stdin) != size) {
            return 1;
        }
        if (argc == 3) {
            measure(text, atol(argv[2]));
        } else {
            judge_apart(text);
        }
        free(text);
    }
    return 0;
}
