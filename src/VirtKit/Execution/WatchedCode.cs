using System.Collections.Concurrent;

namespace VirtKit.Execution;

/// <summary>The pages of a machine that code was made of, where the ISA lets changed code show without a fence (<see cref="GuestInstructions.ShowsChangesAtOnce"/>). No CPU has such a
/// page among the translations of its stores: a store into it takes the slow path, and drops what every CPU's engine has made of the page before the next instruction.</summary>
/// <remarks>Any thread. A page is watched from before its bytes are read until something is stored into it.</remarks>
internal sealed class WatchedCode(GuestSystem system)
{
    /// <summary>A guest that makes code of more pages begins anew with all.</summary>
    private const int MaxPages = 1 << 16;

    private readonly ConcurrentDictionary<ulong, long> _pages = [];

    /// <summary>Counts the pages that were ever watched. A CPU that has dropped the translations of its stores since a page's number cannot store into it unseen.</summary>
    private long _last;

    /// <summary>The number of the last page that is watched.</summary>
    public long Last => Volatile.Read(ref _last);

    /// <summary>Whether a store into a page has to be told of.</summary>
    /// <param name="page">The page's guest physical address.</param>
    public bool Contains(ulong page) => _pages.ContainsKey(page);

    /// <summary>Watches a page.</summary>
    /// <param name="caller">The CPU whose thread this is.</param>
    /// <param name="page">The page's guest physical address.</param>
    /// <returns>Whether no CPU can store into it unseen from here on. If not, a CPU has not come to drop its translations yet: what is made of the page must not be kept.</returns>
    public bool TryWatch(GuestCpu caller, ulong page)
    {
        if (!_pages.TryGetValue(page, out long number))
        {
            if (_pages.Count >= MaxPages)
                Forget();
            number = _pages.GetOrAdd(page, static (_, watched) => Interlocked.Increment(ref watched._last), this);
            foreach (GuestCpu cpu in system.Cpus)
                cpu.DropStores(caller);
        }

        foreach (GuestCpu cpu in system.Cpus)
        {
            if (cpu.CanStoreUnseen(caller, number))
                return false;
        }

        return true;
    }

    /// <summary>A CPU has stored into a page. Returns when no CPU goes on with what was made of it.</summary>
    public void Stored(GuestCpu caller, ulong page)
    {
        if (!_pages.TryRemove(page, out _))
            return;
        // One that is asked to stop while it waits leaves the request behind: the other CPU's next instruction may come before its own.
        foreach (GuestCpu cpu in system.Cpus)
            cpu.FenceRemotely(caller, RemoteFence.Code);
        caller.RequestAttention();
    }

    /// <summary>The host or a device has written. Every CPU looks at its code again soon.</summary>
    public void Written(Gpa address, ulong length)
    {
        if (_pages.IsEmpty || length == 0)
            return;
        ulong first = address.Value & ~0xfffUL, last = address.Value + (length - 1) & ~0xfffUL;
        bool any = false;
        if ((last - first >> 12) < (ulong)_pages.Count)
        {
            for (ulong page = first; page <= last; page += 0x1000)
                any |= _pages.TryRemove(page, out _);
        }
        else
        {
            foreach (ulong page in _pages.Keys)
                any |= page >= first && page <= last && _pages.TryRemove(page, out _);
        }

        if (any)
            LookAgain();
    }

    private void Forget()
    {
        _pages.Clear();
        LookAgain();
    }

    private void LookAgain()
    {
        foreach (GuestCpu cpu in system.Cpus)
            cpu.RequestCodeFence();
    }
}
