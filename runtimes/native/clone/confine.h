#pragma once
// What a clone gives up before user code goes on in it. -1 and errno on failure.
int samovar_drop_capabilities(void);
