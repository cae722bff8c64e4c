using System.Diagnostics;
using System.Diagnostics.Metrics;
using System.Runtime.CompilerServices;
using Microsoft.Extensions.Logging;
using VirtKit.RiscV;
using VirtKit.Tests.Support;

namespace VirtKit.Tests.Spine;

/// <summary>What a host's monitoring sees of a machine: metrics, log entries and activities, each with the machine's name.</summary>
public sealed class MachineTelemetryTests
{
    private static readonly VcpuExit PowerOff = new(ExitReason.Shutdown, 7);

    [Fact]
    public void Metrics_OfNamedMachines_CarryTheNameAndTheVcpu()
    {
        using Machine first = Compose("metrics-first", retires: 10, vcpus: 2), second = Compose("metrics-second", retires: 20);
        first.Run();
        second.Run();
        Assert.Equal(
            [("metrics-first", 0, 10), ("metrics-first", 1, 0), ("metrics-second", 0, 20)],
            Collect("virtkit.instructions.retired").Where(m => m.Machine.StartsWith("metrics-", StringComparison.Ordinal)).OrderBy(m => (m.Machine, m.Vcpu)));
        second.Dispose();
        Assert.DoesNotContain(Collect("virtkit.instructions.retired"), m => m.Machine == "metrics-second");
    }

    [Fact]
    public void Metrics_OfTheTranslator_CarryTheNameToo()
    {
        Translator.Translators.Require();
        using var machine = new Machine(new MachineOptions { Name = "metrics-translator", Architecture = new RiscVArchitecture() });
        foreach (string name in (string[])["virtkit.translator.blocks", "virtkit.translator.evictions", "virtkit.translator.code", "virtkit.translator.pages"])
            Assert.Single(Collect(name), m => m.Machine == "metrics-translator");
    }

    [Fact]
    public void Metrics_WithAFactory_AreOnItsMeterAndNoOther()
    {
        var factory = new Factory();
        using (Machine first = Compose("factory-first", factory: factory), second = Compose("factory-second", factory: factory))
        {
            Assert.Equal(["factory-first", "factory-second"], Collect("virtkit.exits", factory).Select(m => m.Machine));
            Assert.DoesNotContain(Collect("virtkit.exits"), m => m.Machine.StartsWith("factory-", StringComparison.Ordinal));
        }

        // The meter is the factory's: a machine that is gone leaves no series, and the next one no second set of instruments.
        Assert.Empty(Collect("virtkit.exits", factory));
        using Machine third = Compose("factory-third", factory: factory);
        Assert.Single(Collect("virtkit.exits", factory));
        Assert.False(factory.Meters[0].Disposed);
    }

    [Fact]
    public void Metrics_OfAMachineThatNobodyDisposesOf_KeepItNotAlive()
    {
        var factory = new Factory();
        WeakReference machine = Abandon(factory);
        for (int i = 0; i < 20 && machine.IsAlive; i++)
        {
            GC.Collect();
            GC.WaitForPendingFinalizers();
        }

        Assert.False(machine.IsAlive);
        Assert.Empty(Collect("virtkit.exits", factory));

        [MethodImpl(MethodImplOptions.NoInlining)]
        static WeakReference Abandon(Factory factory) => new(Compose("abandoned", factory: factory));
    }

    [Fact]
    public void Log_OfANamedMachine_StandsInItsScope()
    {
        var logger = new ScopeLogger();
        using (Machine machine = Compose("logged", logger: logger))
            machine.Run();
        Assert.NotEmpty(logger.Entries);
        Assert.All(logger.Entries, entry => Assert.Equal(("machine:logged", "machine", "logged"), entry));
    }

    [Fact]
    public void Run_WithAListener_IsAnActivityWithItsExit()
    {
        List<Activity> activities = [];
        using var listener = new ActivityListener
        {
            ShouldListenTo = source => source.Name == "VirtKit",
            Sample = (ref ActivityCreationOptions<ActivityContext> _) => ActivitySamplingResult.AllData,
            ActivityStopped = activity =>
            {
                lock (activities)
                    activities.Add(activity);
            },
        };
        ActivitySource.AddActivityListener(listener);
        using (Machine machine = Compose("traced"))
            machine.Run();
        using (var machine = new FakeEngine(_ => throw new InvalidOperationException("it broke")).Compose())
            machine.Run();
        Activity run;
        lock (activities)
        {
            run = Assert.Single(activities, a => (string?)a.GetTagItem("machine") == "traced");
            Assert.Contains(activities, a => a.Status == ActivityStatusCode.Error && (string?)a.GetTagItem("exit.reason") == "InternalError");
        }

        Assert.Equal(("virtkit.run", "fake", "fake", 1, "Shutdown", 7L, ActivityStatusCode.Unset), (run.OperationName, run.GetTagItem("architecture"),
            run.GetTagItem("engine"), run.GetTagItem("vcpus"), run.GetTagItem("exit.reason"), run.GetTagItem("exit.code"), run.Status));
    }

    [Theory]
    [InlineData("")]
    [InlineData(null)]
    public void Name_Missing_IsRefused(string? name) =>
        Assert.Contains("Name", Assert.Throws<ArgumentException>(() => Compose(name!)).Message, StringComparison.Ordinal);

    private static Machine Compose(string name, ulong retires = 1, int vcpus = 1, IMeterFactory? factory = null, ILogger? logger = null)
    {
        var options = new MachineOptions
        {
            Name = name,
            Architecture = new FakeArchitecture(),
            Engine = new FakeEngine(core => core.Retired == retires - 1 ? PowerOff : null),
            VcpuCount = vcpus,
            MeterFactory = factory,
        };
        return new Machine(logger is null ? options : options with { Logger = logger });
    }

    /// <summary>What an instrument measures now: on the process's own meter, or on a factory's.</summary>
    private static List<(string Machine, int? Vcpu, long Value)> Collect(string instrument, Factory? factory = null)
    {
        List<(string, int?, long)> measured = [];
        using var listener = new MeterListener();
        listener.InstrumentPublished = (published, l) =>
        {
            if (published.Meter.Name == "VirtKit" && published.Meter.Scope == factory && published.Name == instrument)
                l.EnableMeasurementEvents(published);
        };
        listener.SetMeasurementEventCallback<long>((_, value, tags, _) =>
        {
            string machine = "";
            int? vcpu = null;
            foreach ((string key, object? tag) in tags)
                (machine, vcpu) = key == "machine" ? ((string)tag!, vcpu) : (machine, (int?)tag);
            measured.Add((machine, vcpu, value));
        });
        listener.Start();
        listener.RecordObservableInstruments();
        return measured;
    }

    private sealed class Factory : IMeterFactory
    {
        public List<FactoryMeter> Meters { get; } = [];

        public Meter Create(MeterOptions options)
        {
            if (Meters.Find(m => m.Name == options.Name) is { } known)
                return known;
            options.Scope = this;
            Meters.Add(new FactoryMeter(options));
            return Meters[^1];
        }

        public void Dispose() { }
    }

    private sealed class FactoryMeter(MeterOptions options) : Meter(options)
    {
        public bool Disposed { get; private set; }

        protected override void Dispose(bool disposing)
        {
            Disposed = true;
            base.Dispose(disposing);
        }
    }

    /// <summary>Keeps for each entry the text and the parts of the scope that it stands in.</summary>
    private sealed class ScopeLogger : ILogger
    {
        private readonly AsyncLocal<object?> _scope = new();

        public List<(string Text, string Key, object? Value)> Entries { get; } = [];

        public IDisposable BeginScope<TState>(TState state) where TState : notnull
        {
            _scope.Value = state;
            return new Scope(() => _scope.Value = null);
        }

        public bool IsEnabled(LogLevel logLevel) => true;

        public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter)
        {
            var scope = (IReadOnlyList<KeyValuePair<string, object?>>)_scope.Value!;
            Entries.Add((scope.ToString()!, scope[0].Key, scope[0].Value));
        }

        private sealed class Scope(Action end) : IDisposable
        {
            public void Dispose() => end();
        }
    }
}
