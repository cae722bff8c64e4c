using System.Collections.Concurrent;

namespace VirtKit.Time;

/// <summary>What the host's threads have posted to a clock, in order. Thread-safe; one thread at a time drains it.</summary>
internal sealed class PostQueue
{
    private readonly ConcurrentQueue<Post> _queue = new();
    private volatile bool _closed;

    /// <summary>An action threw, which is its owner's bug and must not end the host's process: its gate, and what it threw.</summary>
    public event Action<object, Exception>? Failed;

    public bool IsEmpty => _queue.IsEmpty;

    /// <returns>Whether it was taken; a closed queue takes nothing.</returns>
    public bool TryAdd(object gate, Action action)
    {
        ArgumentNullException.ThrowIfNull(gate);
        ArgumentNullException.ThrowIfNull(action);
        if (_closed)
            return false;
        _queue.Enqueue(new Post(gate, action));
        return true;
    }

    /// <summary>Runs what stands in the queue now, each action under its gate. What the actions post themselves is for the next call, so that none holds the machine up for ever.</summary>
    /// <param name="running">Called before each action.</param>
    /// <returns>Whether there was something.</returns>
    public bool Drain(Action? running = null)
    {
        if (_queue.IsEmpty)
            return false;
        for (int left = _queue.Count; left > 0 && !_closed && _queue.TryDequeue(out Post? post); left--)
        {
            running?.Invoke();
            try
            {
                lock (post.Gate)
                    post.Action();
            }
            catch (Exception e)
            {
                Failed?.Invoke(post.Gate, e);
            }
        }

        return true;
    }

    /// <summary>Drops what stands in the queue, and everything that comes.</summary>
    public void Close()
    {
        _closed = true;
        _queue.Clear();
    }

    private sealed record Post(object Gate, Action Action);
}
