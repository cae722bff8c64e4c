namespace VirtKit.Sandboxing;

/// <summary>The functions that every guest can import (virtkit.h); a host may expose others by their names.</summary>
internal static class GuestServices
{
    public static IReadOnlyDictionary<string, HostFunction> All { get; } = new HostFunction[]
    {
        // void *virtkit_map(size_t bytes): zeroed pages, or null.
        new HostFunc<Sandbox, ulong, Gva>("virtkit_map", static (sandbox, bytes) => new Gva(sandbox.TryMap(bytes, out ulong address) ? address : 0)),

        // void virtkit_unmap(void *pages, size_t bytes)
        new HostAction<Sandbox, Gva, ulong>("virtkit_unmap", static (sandbox, pages, bytes) => sandbox.Unmap(pages.Value, bytes)),

        // void virtkit_log(const char *text, size_t length)
        new HostAction<Sandbox, ReadOnlySpan<byte>>("virtkit_log", static (sandbox, text) => sandbox.Log(text)),

        // _Noreturn void virtkit_panic(const char *reason)
        new HostAction<string>("virtkit_panic", static reason => throw new SandboxException($"The guest ended itself: {reason}")),
    }.ToDictionary(function => function.Name, StringComparer.Ordinal);
}
