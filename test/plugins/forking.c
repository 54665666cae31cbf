/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Not a plugin but a module of httpd, for prefork: connections from 127.0.0.2 are served by a process
 * of their own, forked from the child that has accepted them, whatever else that child serves.
 */

#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* apr.h uses names of it */
#endif

#include <errno.h>
#include <string.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

#include <httpd.h>
#include <http_config.h>
#include <http_connection.h>

static int forked;

static int fork_for(conn_rec* connection) {
    pid_t child;

    if (forked || strcmp(connection->client_ip, "127.0.0.2") != 0) {
        return DECLINED;
    }
    child = fork();
    if (child == 0) {
        forked = 1;
        ap_run_process_connection(connection);
        ap_lingering_close(connection);
        _exit(0); /* what else there is to end belongs to the other process */
    }
    while (child > 0 && waitpid(child, NULL, 0) < 0 && errno == EINTR) {
    }
    connection->aborted = 1; /* all has been said */
    return OK;
}

static void register_hooks(apr_pool_t* pool) {
    (void)pool;
    ap_hook_process_connection(fork_for, NULL, NULL, APR_HOOK_REALLY_FIRST);
}

extern module forking_module __attribute__((visibility("default")));

module forking_module = {
    STANDARD20_MODULE_STUFF, NULL, NULL, NULL, NULL, NULL, register_hooks, 0,
};
