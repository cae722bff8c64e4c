namespace VirtKit.Sandboxing;

/// <summary>A host function whose result is not there yet.</summary>
internal abstract class PendingCall
{
    /// <summary>Completes when the result is there, or with what the host function threw.</summary>
    public abstract Task Completion { get; }

    /// <summary>Returns the result to the guest. After <see cref="Completion"/>.</summary>
    public abstract void Return(Sandbox sandbox);
}

/// <param name="result">The result that is to come.</param>
/// <param name="target">Where it goes, if it is returned through a pointer.</param>
internal sealed class PendingCall<TResult>(Task<TResult> result, Gva target) : PendingCall
{
    public override Task Completion => result;

    /// <summary>What is there already is returned at once.</summary>
    public static PendingCall? Of(Sandbox sandbox, Gva target, ValueTask<TResult> result)
    {
        if (!result.IsCompletedSuccessfully)
            return new PendingCall<TResult>(result.AsTask(), target);
        HostCall.Return(sandbox, target, result.Result);
        return null;
    }

    public override void Return(Sandbox sandbox) => HostCall.Return(sandbox, target, result.GetAwaiter().GetResult());
}
