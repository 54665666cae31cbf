/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Not a plugin but a module of httpd: a filter on every connection that behaves as badly as a filter
 * may. It reads as much as it can get, gives out little at a time, and holds all output back until
 * somebody wants it flushed.
 */

#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* apr.h uses names of it */
#endif

#include <httpd.h>
#include <http_config.h>
#include <http_connection.h>
#include <util_filter.h>

#define MOST_AT_ONCE 999
#define READ_AHEAD 65536

static apr_bucket_brigade* hoard_of(ap_filter_t* filter) {
    if (filter->ctx == NULL) {
        filter->ctx = apr_brigade_create(filter->c->pool, filter->c->bucket_alloc);
    }
    return filter->ctx;
}

static apr_status_t give_some(apr_bucket_brigade* to, apr_bucket_brigade* hoard, apr_off_t most) {
    apr_bucket_brigade* rest;
    apr_bucket* border;
    apr_status_t status =
        apr_brigade_partition(hoard, most < MOST_AT_ONCE ? most : MOST_AT_ONCE, &border);

    if (status != APR_SUCCESS && status != APR_INCOMPLETE) {
        return status;
    }
    rest = apr_brigade_split(hoard, border);
    APR_BRIGADE_CONCAT(to, hoard);
    APR_BRIGADE_CONCAT(hoard, rest);
    apr_brigade_destroy(rest);
    return APR_SUCCESS;
}

static apr_status_t hoard_input(ap_filter_t* filter, apr_bucket_brigade* to, ap_input_mode_t mode,
                                apr_read_type_e block, apr_off_t most) {
    apr_bucket_brigade* hoard = hoard_of(filter);

    if (mode != AP_MODE_READBYTES && APR_BRIGADE_EMPTY(hoard)) {
        return ap_get_brigade(filter->next, to, mode, block, most);
    }
    if (mode != AP_MODE_READBYTES) {
        APR_BRIGADE_CONCAT(to, hoard);
        return APR_SUCCESS;
    }
    if (APR_BRIGADE_EMPTY(hoard)) {
        apr_status_t status = ap_get_brigade(filter->next, hoard, mode, block, READ_AHEAD);

        if (status != APR_SUCCESS) {
            return status;
        }
    }
    return give_some(to, hoard, most);
}

static int must_go_on(const apr_bucket_brigade* brigade) {
    const apr_bucket* bucket;

    for (bucket = APR_BRIGADE_FIRST(brigade); bucket != APR_BRIGADE_SENTINEL(brigade);
         bucket = APR_BUCKET_NEXT(bucket)) {
        if (APR_BUCKET_IS_METADATA(bucket)) {
            return 1;
        }
    }
    return 0;
}

static apr_status_t hoard_output(ap_filter_t* filter, apr_bucket_brigade* from) {
    apr_bucket_brigade* hoard = hoard_of(filter);

    if (!must_go_on(from)) {
        return ap_save_brigade(filter, &hoard, &from, filter->c->pool);
    }
    APR_BRIGADE_PREPEND(from, hoard);
    return ap_pass_brigade(filter->next, from);
}

static int add_filters(conn_rec* connection, void* socket) {
    (void)socket;
    if (connection->master == NULL) {
        ap_add_input_filter("hoarding_in", NULL, NULL, connection);
        ap_add_output_filter("hoarding_out", NULL, NULL, connection);
    }
    return OK;
}

static void register_hooks(apr_pool_t* pool) {
    (void)pool;
    ap_register_input_filter("hoarding_in", hoard_input, NULL, AP_FTYPE_CONNECTION + 3);
    ap_register_output_filter("hoarding_out", hoard_output, NULL, AP_FTYPE_CONNECTION + 3);
    ap_hook_pre_connection(add_filters, NULL, NULL, APR_HOOK_MIDDLE);
}

extern module hoarding_filter_module __attribute__((visibility("default")));

module hoarding_filter_module = {
    STANDARD20_MODULE_STUFF, NULL, NULL, NULL, NULL, NULL, register_hooks, 0,
};
