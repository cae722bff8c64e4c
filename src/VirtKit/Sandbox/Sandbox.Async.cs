using System.Diagnostics;

namespace VirtKit.Sandboxing;

/// <summary>Calls whose caller does not wait: while a function of the host takes its time, the guest is no more than its state.</summary>
public sealed partial class Sandbox
{
    /// <summary>Calls a function of the guest that may call functions of the host which take their time. Arguments are copied before this returns.</summary>
    /// <param name="function">Its name.</param>
    /// <param name="a">The first argument; others follow.</param>
    /// <exception cref="ArgumentException">The guest has no such function, or an argument does not fit or would be copied back.</exception>
    /// <inheritdoc cref="SandboxFunction.InvokeAsync{TResult}()"/>
    public ValueTask<TResult> CallAsync<TResult>(string function, scoped SandboxArgument a = default, scoped SandboxArgument b = default, scoped SandboxArgument c = default,
        scoped SandboxArgument d = default, scoped SandboxArgument e = default, scoped SandboxArgument f = default) =>
        GetFunction(function).InvokeAsync<TResult, SandboxArgument, SandboxArgument, SandboxArgument, SandboxArgument, SandboxArgument, SandboxArgument>(a, b, c, d, e, f);

    /// <summary>Runs a call that is prepared, and gives the sandbox back.</summary>
    internal async ValueTask<TResult> RunAsync<TResult>(GuestCall call)
    {
        try
        {
            while (Advance() is { } pending)
            {
                await ParkAsync(pending.Completion).ConfigureAwait(false);
                pending.Return(this);
            }

            return call.Result<TResult>();
        }
        finally
        {
            call.Dispose();
        }
    }

    /// <summary>Waits for a function of the host; nobody owns the guest meanwhile but the call.</summary>
    private async ValueTask ParkAsync(Task completion)
    {
        if (_depth > 1)
            throw Fail(new SandboxException("A call within a call cannot wait for a function of the host."));
        TimeSpan left = Timeout.InfiniteTimeSpan;
        if (_began != 0)
        {
            left = Deadline - Stopwatch.GetElapsedTime(_began);
            left = left > TimeSpan.Zero ? left : TimeSpan.Zero;
        }

        Volatile.Write(ref _owner, Parked);
        Exception? error = null;
        try
        {
            await completion.WaitAsync(left, Cancellation).ConfigureAwait(false);
        }
        catch (Exception e)
        {
            error = e;
        }

        // TIMING POINT 1: who disposes of the sandbox takes a parked one for itself, here or there.
        ObjectDisposedException.ThrowIf(Interlocked.CompareExchange(ref _owner, Environment.CurrentManagedThreadId, Parked) != Parked, this);
        switch (error)
        {
            case null:
                return;
            case TimeoutException when !completion.IsCompleted:
                throw Fail(new SandboxLimitException(SandboxLimit.Deadline, $"The call has taken longer than {Deadline}."));
            case OperationCanceledException when !completion.IsCompleted:
                _ = Fail(new SandboxException("The call was cancelled."));
                break;
            default:
                _ = Fail(new SandboxException($"A function of the host failed: {error.Message}", error));
                break;
        }

        System.Runtime.ExceptionServices.ExceptionDispatchInfo.Throw(error);
    }
}
