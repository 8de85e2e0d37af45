/* cmd_cluster.h - the catalogue and this host, in the words of Consul's
 * command. */
#pragma once

int cmd_members(int argc, char **argv);
int cmd_catalog(int argc, char **argv);
int cmd_maint(int argc, char **argv);
int cmd_event(int argc, char **argv);
int cmd_info(int argc, char **argv);
