/* Runs a fuzzer over the files of folders, without libFuzzer: what was found once stays mended. */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

static int file_replay(const char *folder, const char *name)
{
    char path[4096];
    static uint8_t bytes[1 << 20];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "rb");
    if (!file) return 0;
    size_t size = fread(bytes, 1, sizeof bytes, file);
    fclose(file);
    printf("%s, %zu bytes\n", path, size);
    /* Copied, so that AddressSanitizer knows where the input ends. */
    uint8_t *copy = malloc(size ? size : 1);
    if (!copy) return 0;
    for (size_t i = 0; i < size; i++) copy[i] = bytes[i];
    LLVMFuzzerTestOneInput(copy, size);
    free(copy);
    return 1;
}

int main(int count, char **folders)
{
    int replayed = 0;
    for (int i = 1; i < count; i++) {
        DIR *listing = opendir(folders[i]);
        if (!listing) continue;
        for (struct dirent *entry; (entry = readdir(listing));)
            if (entry->d_name[0] != '.') replayed += file_replay(folders[i], entry->d_name);
        closedir(listing);
    }
    printf("%d replayed\n", replayed);
    return replayed == 0;
}
