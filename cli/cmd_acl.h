#pragma once

/* muster acl bootstrap | policy VERB | token VERB */
int cmd_acl(int argc, char **argv);
